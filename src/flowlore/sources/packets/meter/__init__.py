"""The meter: packets → flows.

`layout` says how flows lie in memory, `tables` reserves and grows that memory, `kernel` puts packets into flows,
`counts` updates one flow by one packet, `chains` holds what has no fixed size, `lookups` remembers DNS answers,
`drain` turns finished flows into batches of the flow table, `meter` drives them all over one or more cores.
"""
