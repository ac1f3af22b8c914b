"""How clients come to go through the gate and to trust it: PAC file, profile, page, firewall rules, all generated.

`pac` and `nftables` are made from the destination table, so that what the gate inspects and what is sent to it are one
list. `steps` is what to do per platform, as data: tests carry out those that can be carried out; `page` shows them;
`routes` serves all of it on the admin listener.
"""
