"""The features of the fake camera: one table, from which registers and GenICam XML are made.

Names: GenICam SFNC 2.7; those of the frame timeout as Hikrobot has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

MAKE, MODEL, VERSION = "stripwatch", "LineScan", "1.0"
CHUNKS = {"EncoderValue": 0x1001, "LinesSkipped": 0x1002}  # id of each value sent with a frame
IMAGE_CHUNK = 0x0001


@dataclass(frozen=True, slots=True)
class Entry:
    """A feature held in one register: a whole number, a float, or a choice by its position."""

    name: str
    address: int
    group: str
    value: float
    low: float = 0
    high: float = 2**31 - 1
    unit: str = ""
    choices: tuple[str, ...] = ()
    is_float: bool = False  # 8 bytes; else 4
    is_writable: bool = True


_FORMAT, _ACQUISITION = "ImageFormatControl", "AcquisitionControl"
_CHUNK, _ENCODER, _TRANSPORT = "ChunkDataControl", "EncoderControl", "TransportLayerControl"

ENTRIES = (
    Entry("SensorWidth", 0xA000, _FORMAT, 16384, is_writable=False),
    Entry("SensorHeight", 0xA004, _FORMAT, 4096, is_writable=False),
    Entry("Width", 0xA008, _FORMAT, 1600, 16, 16384),
    Entry("Height", 0xA00C, _FORMAT, 256, 1, 4096),
    Entry("OffsetX", 0xA010, _FORMAT, 0, 0, 16384),
    Entry("PixelFormat", 0xA014, _FORMAT, 0x01080001, choices=("Mono8",)),
    Entry("AcquisitionMode", 0xA018, _ACQUISITION, 0, choices=("Continuous",)),
    Entry("TriggerSelector", 0xA020, _ACQUISITION, 0, choices=("LineStart",)),
    Entry("TriggerMode", 0xA024, _ACQUISITION, 0, choices=("Off", "On")),
    Entry("TriggerSource", 0xA028, _ACQUISITION, 0, choices=("Encoder0", "Line0")),
    Entry("FrameTimeoutEnable", 0xA02C, _ACQUISITION, 0, choices=("bool",)),
    Entry("FrameTimeoutTime", 0xA030, _ACQUISITION, 1000, 1, 60_000, "ms"),
    Entry("AcquisitionLineRate", 0xA040, _ACQUISITION, 100_000, 10, 400_000, "Hz", is_float=True),
    Entry("ExposureTime", 0xA048, _ACQUISITION, 8, 2, 10_000, "us", is_float=True),
    Entry("EncoderValue", 0xA050, _ENCODER, 0, 0, 2**32 - 1, is_writable=False),
    Entry("ChunkModeActive", 0xA060, _CHUNK, 0, choices=("bool",)),
    Entry("ChunkSelector", 0xA064, _CHUNK, 0, choices=tuple(CHUNKS)),
    Entry("ChunkEnable", 0xA068, _CHUNK, 0, choices=("bool",)),
    Entry("PayloadSize", 0xA070, _TRANSPORT, 0, is_writable=False),
)
ACQUISITION_COMMAND = 0xA01C  # 1 starts, 0 stops
BY_NAME = {entry.name: entry for entry in ENTRIES}
BY_ADDRESS = {entry.address: entry for entry in ENTRIES}

_HEAD = f"""<?xml version="1.0" encoding="utf-8"?>
<RegisterDescription ModelName="{MODEL}" VendorName="{MAKE}" StandardNameSpace="None"
SchemaMajorVersion="1" SchemaMinorVersion="1" SchemaSubMinorVersion="0"
MajorVersion="1" MinorVersion="0" SubMinorVersion="0" ToolTip="Line-scan camera in software"
ProductGuid="0" VersionGuid="0" xmlns="http://www.genicam.org/GenApi/Version_1_1">
"""
_FIXED = """
<StringReg Name="DeviceVendorName"><Address>0x48</Address><Length>32</Length>
<AccessMode>RO</AccessMode><pPort>Device</pPort></StringReg>
<StringReg Name="DeviceModelName"><Address>0x68</Address><Length>32</Length>
<AccessMode>RO</AccessMode><pPort>Device</pPort></StringReg>
<StringReg Name="DeviceSerialNumber"><Address>0xd8</Address><Length>16</Length>
<AccessMode>RO</AccessMode><pPort>Device</pPort></StringReg>
<IntReg Name="AcquisitionCommandRegister"><Address>0xA01C</Address><Length>4</Length>
<AccessMode>WO</AccessMode><pPort>Device</pPort><Endianess>BigEndian</Endianess></IntReg>
<Command Name="AcquisitionStart"><pValue>AcquisitionCommandRegister</pValue>
<CommandValue>1</CommandValue></Command>
<Command Name="AcquisitionStop"><pValue>AcquisitionCommandRegister</pValue>
<CommandValue>0</CommandValue></Command>
<Integer Name="GevSCPSPacketSize"><pValue>PacketSizeRegister</pValue><Min>220</Min>
<Max>16404</Max><Inc>4</Inc></Integer>
<MaskedIntReg Name="PacketSizeRegister"><Address>0xd04</Address><Length>4</Length>
<AccessMode>RW</AccessMode><pPort>Device</pPort><LSB>31</LSB><MSB>16</MSB>
<Endianess>BigEndian</Endianess></MaskedIntReg>
<Command Name="GevSCPSFireTestPacket"><pValue>FireTestPacketRegister</pValue>
<CommandValue>1</CommandValue></Command>
<MaskedIntReg Name="FireTestPacketRegister"><Address>0xd04</Address><Length>4</Length>
<AccessMode>RW</AccessMode><pPort>Device</pPort><Bit>0</Bit>
<Endianess>BigEndian</Endianess></MaskedIntReg>
<Port Name="Device"/>
"""
_FIXED_GROUPS = {
    "DeviceControl": ("DeviceVendorName", "DeviceModelName", "DeviceSerialNumber"),
    _ACQUISITION: ("AcquisitionStart", "AcquisitionStop"),
    _TRANSPORT: ("GevSCPSPacketSize", "GevSCPSFireTestPacket"),
    _CHUNK: tuple(f"Chunk{name}" for name in CHUNKS),
}


def description_xml() -> bytes:
    """The GenICam description of the camera."""
    groups: dict[str, list[str]] = {name: list(held) for name, held in _FIXED_GROUPS.items()}
    for entry in ENTRIES:
        groups.setdefault(entry.group, []).append(entry.name)
    parts = [
        _HEAD,
        _category("Root", groups),
        *(_category(name, held) for name, held in groups.items()),
        *(_node(entry) for entry in ENTRIES),
        *(_chunk_node(name, identifier) for name, identifier in CHUNKS.items()),
        _FIXED,
        "</RegisterDescription>\n",
    ]
    return "\n".join(parts).encode()


def _category(name: str, held: list[str] | dict[str, list[str]]) -> str:
    features = "".join(f"<pFeature>{feature}</pFeature>" for feature in held)
    return f'<Category Name="{name}" NameSpace="Standard">{features}</Category>'


def _node(entry: Entry) -> str:
    register = _register(entry)
    head = f'Name="{entry.name}" NameSpace="Standard"'
    value = f"<pValue>{entry.name}Register</pValue>"
    if entry.choices == ("bool",):
        switch = "<OnValue>1</OnValue><OffValue>0</OffValue>"
        return f"<Boolean {head}>{value}{switch}</Boolean>{register}"
    if entry.choices:
        first = int(entry.value) if entry.name == "PixelFormat" else 0
        entries = "".join(
            f'<EnumEntry Name="{choice}"><Value>{first + number}</Value></EnumEntry>'
            for number, choice in enumerate(entry.choices)
        )
        return f"<Enumeration {head}>{entries}{value}</Enumeration>{register}"
    kind = "Float" if entry.is_float else "Integer"
    limits = f"<Min>{entry.low:g}</Min><Max>{entry.high:.10g}</Max>"
    unit = f"<Unit>{escape(entry.unit)}</Unit>" if entry.unit else ""
    return f"<{kind} {head}>{value}{limits}{unit}</{kind}>{register}"


def _register(entry: Entry) -> str:
    kind, length = ("FloatReg", 8) if entry.is_float else ("IntReg", 4)
    access = "RW" if entry.is_writable else "RO"
    sign = "" if entry.is_float else "<Sign>Unsigned</Sign>"
    return (
        f'<{kind} Name="{entry.name}Register"><Address>{entry.address:#x}</Address>'
        f"<Length>{length}</Length><AccessMode>{access}</AccessMode><pPort>Device</pPort>"
        f"{sign}<Endianess>BigEndian</Endianess></{kind}>"
    )


def _chunk_node(name: str, identifier: int) -> str:
    return (
        f'<Integer Name="Chunk{name}" NameSpace="Standard"><pValue>Chunk{name}Register</pValue>'
        f'</Integer><IntReg Name="Chunk{name}Register"><Address>0</Address><Length>4</Length>'
        f"<AccessMode>RO</AccessMode><pPort>Chunk{name}Port</pPort><Sign>Unsigned</Sign>"
        f'<Endianess>BigEndian</Endianess></IntReg><Port Name="Chunk{name}Port">'
        f"<ChunkID>{identifier:x}</ChunkID></Port>"
    )
