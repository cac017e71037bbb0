-- SPDX-License-Identifier: Apache-2.0
-- Wireshark dissector of the DUNE shim: 8 bytes behind EtherType 0x88B5.
--     wireshark -X lua_script:dune_shim.lua
local dune = Proto("dune", "DUNE shim")
local classes = {
    [0] = "none",
    [1] = "bulb",
    [2] = "camera",
    [3] = "doorbell",
    [4] = "plug",
    [5] = "printer",
    [6] = "sensor",
    [7] = "speaker",
    [8] = "television",
}
local f = {
    version = ProtoField.uint8("dune.version", "Version", base.DEC, nil, 0xe0),
    final = ProtoField.bool("dune.final", "Final", 8, nil, 0x10),
    tentative = ProtoField.bool("dune.tentative", "Tentative", 8, nil, 0x08),
    settled = ProtoField.bool("dune.settled", "Settled", 8, nil, 0x04),
    collision = ProtoField.bool("dune.collision", "Collision", 8, nil, 0x02),
    fl = ProtoField.bool("dune.fl", "Flow level", 8, nil, 0x01),
    submodel = ProtoField.uint8("dune.submodel", "Sub-model"),
    class = ProtoField.uint8("dune.class", "Class", base.DEC, classes),
    confidence = ProtoField.uint8("dune.confidence", "Confidence"),
    generation = ProtoField.uint16("dune.generation", "Plan generation"),
    ethertype = ProtoField.uint16("dune.ethertype", "Original EtherType", base.HEX),
}
dune.fields = { f.version, f.final, f.tentative, f.settled, f.collision, f.fl, f.submodel, f.class,
                f.confidence, f.generation, f.ethertype }
local ethertypes = DissectorTable.get("ethertype")

function dune.dissector(buffer, pinfo, tree)
    if buffer:len() < 8 then
        return 0
    end
    local shim = tree:add(dune, buffer(0, 8))
    for _, name in ipairs({ "version", "final", "tentative", "settled", "collision", "fl" }) do
        shim:add(f[name], buffer(0, 1))
    end
    shim:add(f.submodel, buffer(1, 1))
    shim:add(f.class, buffer(2, 1))
    shim:add(f.confidence, buffer(3, 1))
    shim:add(f.generation, buffer(4, 2))
    shim:add(f.ethertype, buffer(6, 2))
    local class = buffer(2, 1):uint()
    shim:append_text(", " .. (classes[class] or class) .. ", confidence " .. buffer(3, 1):uint())
    local inner = ethertypes:get_dissector(buffer(6, 2):uint())
    if inner then
        inner:call(buffer(8):tvb(), pinfo, tree)
    end
    return buffer:len()
end

ethertypes:add(0x88B5, dune)
