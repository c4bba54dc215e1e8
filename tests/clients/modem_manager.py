"""ModemManager's D-Bus API, by python-dbusmock: it does what it is told on its input, and prints the calls that change something.

Usage: modem_manager.py BUS_ADDRESS

Input, a line of JSON each:
    ["plug", NUMBER, PORTS]            a modem of this number comes; PORTS are [name, MMModemPortType]
    ["unplug", NUMBER]                 it goes
    ["set", NUMBER, INTERFACE, NAME, TYPE, VALUE]
                                       a property, of a D-Bus type; INTERFACE is what comes behind Modem
    ["cells", NUMBER, CELLS]           what GetCellInfo says; texts and numbers get the types that ModemManager has
    ["pin", NUMBER, PIN]               its card wants this PIN
    ["forbid", METHOD]                 this method is not allowed
    ["fail", METHOD, TEXT]             calls of this name fail with this text, whatever they ask; null: they are never answered
    ["mend", METHOD]                   they are answered again
Output, a line of JSON each: ["ready"], ["done"] after each input, [METHOD, ARGUMENTS...] for a call
"""

import json
import os
import sys

import dbus
import dbus.lowlevel
import dbus.mainloop.glib
from dbusmock.mockobject import DBusMockObject, objects
from gi.repository import GLib

NAME = "org.freedesktop.ModemManager1"
ROOT = "/org/freedesktop/ModemManager1"
MODEM = NAME + ".Modem"
NUMBERS = {"imei": "860123045678901", "imsi": "262011234567890", "iccid": "8949020000123456789", "number": "+491701234567"}

forbidden = set()
failing = {}
cells = {}
pins = {}


def say(*words):
    print(json.dumps(words), flush=True)


def path(number):
    return f"{ROOT}/Modem/{number}"


def card(number):
    return f"{ROOT}/SIM/{number}"


def typed(kind, value):
    if kind == "a{sv}":
        return dbus.Dictionary({key: typed("d", number) for key, number in value.items()}, signature="sv")
    if kind == "a(su)":
        return dbus.Array([dbus.Struct((name, dbus.UInt32(port))) for name, port in value], signature="(su)")
    if kind in ("ao", "as"):
        return dbus.Array(value, signature=kind[1])
    kinds = {"s": dbus.String, "u": dbus.UInt32, "i": dbus.Int32, "d": dbus.Double, "b": dbus.Boolean, "o": dbus.ObjectPath}
    return kinds[kind](value)


def cell_value(name, value):
    if isinstance(value, bool):
        return dbus.Boolean(value)
    if isinstance(value, str):
        return dbus.String(value)
    return dbus.Double(value) if name in ("rsrp", "rsrq", "sinr") else dbus.UInt32(value)


def played(method, *arguments):
    say(method, *arguments)
    if method in forbidden:
        raise dbus.exceptions.DBusException("PolicyKit authorization failed", name=NAME + ".Error.Core.Unauthorized")


def fails(connection, message):
    member = message.get_member()
    if member not in failing or not isinstance(message, dbus.lowlevel.MethodCallMessage):
        return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED
    say(member)
    if failing[member] is not None:
        error = dbus.lowlevel.ErrorMessage(message, NAME + ".Error.Core.Failed", failing[member])
        connection.send_message(error)
    return dbus.lowlevel.HANDLER_RESULT_HANDLED


def state_of(modem, number):
    modem.props[MODEM]["State"] = dbus.Int32(number)


def set_up_signal(modem, rate):
    played("Signal.Setup", int(rate))
    modem.props[MODEM + ".Signal"]["Rate"] = dbus.UInt32(rate)


def cell_info(modem):
    if "GetCellInfo" in forbidden:
        raise dbus.exceptions.DBusException("sender may not call it", name="org.freedesktop.DBus.Error.AccessDenied")
    found = cells.get(modem.path, [])
    made = [dbus.Dictionary({k: cell_value(k, v) for k, v in cell.items()}, signature="sv") for cell in found]
    return dbus.Array(made, signature="a{sv}")


def location(_modem):
    return dbus.Dictionary({dbus.UInt32(1): dbus.String("262,01,0,1A2B303,4E21")}, signature="uv")


def connect(modem, wanted):
    played("Connect", {str(key): str(value) for key, value in wanted.items()})
    bearer = ROOT + "/Bearer/0"
    if bearer not in objects:
        config = dbus.Dictionary({"method": dbus.UInt32(3)}, signature="sv")
        properties = {"Connected": dbus.Boolean(True), "Interface": dbus.String("wwan0"), "Ip4Config": config}
        modem.AddObject(bearer, NAME + ".Bearer", properties, [])
    modem.props[MODEM]["Bearers"] = typed("ao", [bearer])
    state_of(modem, 11)
    return dbus.ObjectPath(bearer)


def disconnect(modem, bearer):
    played("Disconnect", str(bearer))
    state_of(modem, 8)


def send_pin(sim, pin):
    played("SendPin", str(pin))
    number = sim.path.rsplit("/", 1)[1]
    modem = objects[path(number)]
    if pins.get(number) != str(pin):
        raise dbus.exceptions.DBusException("incorrect password", name=NAME + ".Error.MobileEquipment.IncorrectPassword")
    modem.props[MODEM]["UnlockRequired"] = dbus.UInt32(1)
    state_of(modem, 8)


def plug(manager, number, ports):
    properties = {
        "State": dbus.Int32(8),
        "StateFailedReason": dbus.UInt32(0),
        "UnlockRequired": dbus.UInt32(1),
        "AccessTechnologies": dbus.UInt32(1 << 14),
        "Manufacturer": dbus.String("Quectel"),
        "Model": dbus.String("RM520N-GL"),
        "Revision": dbus.String("RM520NGLAAR03A03M4G"),
        "EquipmentIdentifier": dbus.String(NUMBERS["imei"]),
        "OwnNumbers": typed("as", [NUMBERS["number"]]),
        "Device": dbus.String(f"/sys/devices/platform/usb1/1-{number}"),
        "PrimaryPort": dbus.String(ports[0][0]),
        "Ports": typed("a(su)", ports),
        "Bearers": typed("ao", []),
        "Sim": dbus.ObjectPath(card(number)),
    }
    manager.AddObject(path(number), MODEM, properties, [])
    modem = objects[path(number)]
    three_gpp = {"RegistrationState": 1, "OperatorCode": "26201", "OperatorName": "Made-up Mobile"}
    kinds = {"RegistrationState": "u"}
    modem.AddProperties(
        MODEM + ".Modem3gpp", {name: typed(kinds.get(name, "s"), value) for name, value in three_gpp.items()}
    )
    signal = {"Rate": dbus.UInt32(0), "Lte": typed("a{sv}", {"rsrp": -95, "rsrq": -11, "snr": 12}), "Nr5g": typed("a{sv}", {})}
    modem.AddProperties(MODEM + ".Signal", signal)
    modem.AddProperties(MODEM + ".Location", {"Enabled": dbus.UInt32(1), "SignalsLocation": dbus.Boolean(False)})
    modem.AddMethod(MODEM + ".Signal", "Setup", "u", "", set_up_signal)
    modem.AddMethod(MODEM, "GetCellInfo", "", "aa{sv}", cell_info)
    modem.AddMethod(MODEM + ".Location", "GetLocation", "", "a{uv}", location)
    modem.AddMethod(MODEM + ".Simple", "Connect", "a{sv}", "o", connect)
    modem.AddMethod(MODEM + ".Simple", "Disconnect", "o", "", disconnect)
    # What has methods alone is an interface too.
    modem.props.setdefault(MODEM + ".Simple", {})
    sim = {"Imsi": dbus.String(NUMBERS["imsi"]), "SimIdentifier": dbus.String(NUMBERS["iccid"])}
    manager.AddObject(card(number), NAME + ".Sim", sim, [])
    objects[card(number)].AddMethod(NAME + ".Sim", "SendPin", "s", "", send_pin)


def do(manager, word, *rest):
    if word == "plug":
        plug(manager, *rest)
    elif word == "unplug":
        for gone in (path(rest[0]), card(rest[0])):
            manager.RemoveObject(gone)
    elif word == "set":
        number, interface, name, kind, value = rest
        objects[path(number)].props[MODEM + interface][name] = typed(kind, value)
    elif word == "cells":
        cells[path(rest[0])] = rest[1]
    elif word == "pin":
        pins[str(rest[0])] = rest[1]
        objects[path(rest[0])].props[MODEM]["UnlockRequired"] = dbus.UInt32(2)
        state_of(objects[path(rest[0])], 2)
    elif word == "forbid":
        forbidden.add(rest[0])
    elif word == "fail":
        failing[rest[0]] = rest[1]
    elif word == "mend":
        del failing[rest[0]]


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(sys.argv[1])
    name = dbus.service.BusName(NAME, bus, do_not_queue=True)
    manager = DBusMockObject(name, ROOT, NAME, {}, os.devnull, is_object_manager=True)
    objects[ROOT] = manager
    bus.add_message_filter(fails)
    loop = GLib.MainLoop()

    rest = bytearray()

    def told(*_):
        # Not by lines: what Python has read ahead would wait for the next of them.
        read = os.read(sys.stdin.fileno(), 65536)
        if not read:
            loop.quit()
            return False
        rest.extend(read)
        while b"\n" in rest:
            line, _, left = bytes(rest).partition(b"\n")
            rest[:] = left
            do(manager, *json.loads(line))
            say("done")
        return True

    GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, told)
    say("ready")
    loop.run()


main()
