"""The network interface of a camera is known by the routes, and its speed is read each time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stripwatch.camera.network_link import NetworkLink

ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
cam0	000AA8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""


@pytest.fixture
def interfaces(tmp_path: Path) -> Path:
    if sys.byteorder != "little":
        pytest.skip("the routes here are those of a little-endian machine")
    (tmp_path / "routes").write_text(ROUTES)
    for name, speed in (("eth0", "10000"), ("cam0", "1000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "speed").write_text(f"{speed}\n")
    return tmp_path


def test_the_narrowest_route_leads_to_the_interface(interfaces: Path) -> None:
    routes = interfaces / "routes"
    assert NetworkLink("192.168.10.7", routes, interfaces).interface == "cam0"
    assert NetworkLink("192.168.11.7", routes, interfaces).interface == "eth0"
    assert NetworkLink("127.0.0.2", routes, interfaces).interface == "lo"


def test_a_link_that_renegotiates_is_seen(interfaces: Path) -> None:
    link = NetworkLink("192.168.10.7", interfaces / "routes", interfaces)
    assert link.mbit_s() == 1000
    (interfaces / "cam0" / "speed").write_text("100\n")
    assert link.mbit_s() == 100
    (interfaces / "cam0" / "speed").write_text("-1\n")  # the cable is out
    assert link.mbit_s() is None


@pytest.mark.parametrize("address", ["", "USB3", "camera.plant"])
def test_what_is_no_address_has_no_interface(interfaces: Path, address: str) -> None:
    link = NetworkLink(address, interfaces / "routes", interfaces)
    assert (link.interface, link.mbit_s()) == ("", None)
