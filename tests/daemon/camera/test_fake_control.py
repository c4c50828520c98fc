"""The control channel of the fake camera, command by command; whatever arrives is answered."""

from __future__ import annotations

import random
import struct

import pytest

from stripwatch.camera.fake import wire
from stripwatch.camera.fake.control import Control
from stripwatch.camera.fake.description import ACQUISITION_COMMAND, BY_NAME
from stripwatch.camera.fake.registers import CONTROL, Registers

US, THEM = ("127.0.0.1", 1000), ("127.0.0.1", 2000)


@pytest.fixture
def control() -> Control:
    registers = Registers("127.0.0.1", "F1", 3000, can_resend=True)
    return Control(registers, lambda: None, lambda *_: None)


def ask(
    control: Control, code: int, data: bytes, sender: tuple[str, int] = US, now_s: float = 0.0
) -> tuple[int, bytes]:
    """Status and data of the answer."""
    message = struct.pack(">BBHHH", 0x42, 1, code, len(data), 7) + data
    command = wire.parse_command(message)
    assert command is not None
    reply = control.answer(command, sender, now_s)
    assert reply is not None
    status, code_back, size, request_id = struct.unpack_from(">HHHH", reply)
    assert (code_back, size, request_id) == (code + 1, len(reply) - 8, 7)
    return status, reply[8:]


def write(control: Control, address: int, value: int, **more: object) -> int:
    data = struct.pack(">II", address, value)
    return ask(control, wire.WRITE_REGISTERS, data, **more)[0]  # type: ignore[arg-type]


def test_only_the_program_in_control_may_write(control: Control) -> None:
    width = BY_NAME["Width"].address
    assert write(control, width, 100) == wire.ACCESS_DENIED
    assert write(control, CONTROL, 2) == 0
    assert write(control, width, 100) == 0
    assert write(control, width, 200, sender=THEM) == wire.ACCESS_DENIED
    assert write(control, CONTROL, 2, sender=THEM) == wire.ACCESS_DENIED
    assert ask(control, wire.READ_REGISTERS, struct.pack(">I", width), THEM)[1][-4:] == struct.pack(
        ">I", 100
    )


def test_a_program_that_is_silent_loses_control_and_the_stream(control: Control) -> None:
    write(control, CONTROL, 2, now_s=0.0)
    write(control, ACQUISITION_COMMAND, 1, now_s=1.0)
    control.check_heartbeat(3.9)
    assert control.is_streaming
    control.check_heartbeat(4.1)
    assert not control.is_streaming
    assert write(control, CONTROL, 2, sender=THEM) == 0


@pytest.mark.parametrize(
    ("address", "value", "status"),
    [
        (BY_NAME["Width"].address, 8, wire.BAD_PARAMETER),
        (BY_NAME["EncoderValue"].address, 8, wire.BAD_PARAMETER),
        (BY_NAME["TriggerMode"].address, 2, wire.BAD_PARAMETER),
        (0x48, 8, wire.BAD_PARAMETER),  # its maker's name
        (0x10000, 8, wire.BAD_PARAMETER),  # its description
        (0xFFFFFFF0, 8, wire.BAD_PARAMETER),
    ],
)
def test_what_cannot_be_written_is_refused(
    control: Control, address: int, value: int, status: int
) -> None:
    write(control, CONTROL, 2)
    assert write(control, address, value) == status


def test_the_payload_grows_by_the_chunks_that_are_enabled(control: Control) -> None:
    write(control, CONTROL, 2)
    write(control, BY_NAME["Width"].address, 100)
    write(control, BY_NAME["Height"].address, 10)
    address = struct.pack(">I", BY_NAME["PayloadSize"].address)
    assert ask(control, wire.READ_REGISTERS, address)[1] == struct.pack(">I", 1000)
    write(control, BY_NAME["ChunkModeActive"].address, 1)
    write(control, BY_NAME["ChunkEnable"].address, 1)
    assert ask(control, wire.READ_REGISTERS, address)[1] == struct.pack(">I", 1020)
    assert control.chunks() == ["EncoderValue"]
    write(control, BY_NAME["ChunkSelector"].address, 1)
    enabled = struct.pack(">I", BY_NAME["ChunkEnable"].address)
    assert ask(control, wire.READ_REGISTERS, enabled)[1] == struct.pack(">I", 0)


def test_noise_is_no_command_or_gets_an_answer(control: Control) -> None:
    """60,000 messages from a seed, most of them with the right beginning."""
    chance = random.Random(11)
    codes = (0x0002, 0x0040, 0x0080, 0x0082, 0x0084, 0x0086, 0x9999)
    answered = 0
    for _ in range(20_000):
        data = chance.randbytes(chance.randint(0, 40))
        head = struct.pack(">BBHHH", 0x42, 1, chance.choice(codes), len(data), 7)
        for message in (data, head + data, (head + data)[: chance.randint(0, 30)]):
            command = wire.parse_command(message)
            if command is not None:
                answered += control.answer(command, US, 0.0) is not None
    assert answered > 10_000


def test_the_packets_of_a_frame_hold_all_of_its_bytes() -> None:
    payload = memoryview(bytes(range(256)) * 10)
    frame = wire.StreamFrame(65535, 123, (20, 128), 20, payload, has_chunks=False)
    packets = wire.packets(frame, 1000)
    assert len(packets) == 2 + 3
    assert b"".join(bytes(data) for _, data in packets) == payload.tobytes()
    kinds = [struct.unpack(">HHI", head[:8]) for head, _ in packets]
    assert [number & 0xFFFFFF for _, _, number in kinds] == [0, 1, 2, 3, 4]
    assert [number >> 24 for _, _, number in kinds] == [1, 3, 3, 3, 2]
    assert all(len(head) + len(data) <= 1000 - 28 for head, data in packets)
