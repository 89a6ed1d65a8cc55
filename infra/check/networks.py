"""The closed network: endpoints that are found, rules that deny what they do not name, subnets without a back door."""

from collections.abc import Iterator

from infra.check.bicep import Bicep, Expression, Module, Resource, Value, at
from infra.check.look import Finding
from infra.check.template import Meant, Template
from infra.check.where import called, found

ENDPOINT = "Microsoft.Network/privateEndpoints"
ZONE_GROUP = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
RULES = "Microsoft.Network/networkSecurityGroups"
NETWORK = "Microsoft.Network/virtualNetworks"

#: What is closed, and so needs a private way in.
CLOSED = ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults", "Microsoft.Web/sites")
#: The parts of these that the app, its host and its callers use; each has an endpoint of its own.
#: https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource
PARTS = ("blob", "queue", "table", "vault", "sites")
#: Whose subnets those of Flex Consumption are.
#: https://learn.microsoft.com/azure/azure-functions/flex-consumption-how-to#enable-virtual-network-integration
DELEGATED_TO = "Microsoft.App/environments"
#: What makes the rules of a subnet hold for private endpoints in it.
#: https://learn.microsoft.com/azure/private-link/disable-private-endpoint-network-policy
KEEP_TO_RULES = {"Enabled", "NetworkSecurityGroupEnabled"}
#: The lowest priority of a rule of one's own; Azure's come after it, and allow more.
#: https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#security-rules
LAST = 4096
#: What stands for every address, in and out.
ANYWHERE = {"*", "Any", "Internet", "0.0.0.0/0", "::/0"}
DENIES_THE_REST = {
    "access": "Deny",
    "priority": LAST,
    "protocol": "*",
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "*",
}


def findings(template: Template) -> Iterator[Finding]:
    """What is more open than it has to be, or cannot be found."""
    for file in template.files.values():
        for endpoint in file.of_type(ENDPOINT):
            if not any(_names(group, endpoint) for group in file.of_type(ZONE_GROUP)):
                yield found(template, file, endpoint.line, f"{endpoint.name}: no zone group puts its name into a zone")
        for group in file.of_type(RULES):
            yield from (found(template, file, group.line, f"{group.name}: {words}") for words in _rules(group))
        yield from (found(template, file, line, words) for line, words in _ways_in(template, file))
        for network in file.of_type(NETWORK):
            yield from (found(template, file, network.line, words) for words in _subnets(file, network))


def _ways_in(template: Template, file: Bicep) -> Iterator[tuple[int, str]]:
    """Whatever can be closed has a private endpoint, for each of its parts that is used."""
    inside = {module.name: called(template, file, module) for module in file.modules.values()}
    endpoints = [m for m in file.modules.values() if (made := inside[m.name]) is not None and made.of_type(ENDPOINT)]
    closed = [m for m in file.modules.values() if (made := inside[m.name]) and any(map(made.of_type, CLOSED))]
    reached = {name for each in endpoints for name in _mentioned(each.params.get("targetId"))}
    for module in closed:
        if module.name not in reached:
            yield module.line, f"{module.name} can be closed, and has no private endpoint"
    parts = {part for each in endpoints for part in _parts(template, file, each)}
    for part in PARTS:
        if closed and part not in parts:
            yield 1, f"no private endpoint is for {part}"


def _mentioned(value: Value) -> frozenset[str]:
    return value.names if isinstance(value, Expression) else frozenset()


def _parts(template: Template, file: Bicep, endpoint: Module) -> Iterator[str]:
    turns = list(template.elements(Meant(endpoint.loop, file))) if endpoint.item else [Meant(None, file)]
    for turn in turns:
        items = {endpoint.item: turn} if endpoint.item else {}
        yield from template.texts(Meant(endpoint.params.get("groupId"), file, items))


def _names(group: Resource, endpoint: Resource) -> bool:
    configurations = group.at("properties.privateDnsZoneConfigs")
    return group.parent == endpoint.name and isinstance(configurations, list) and bool(configurations)


def _rules(group: Resource) -> Iterator[str]:
    """What no rule allows is denied, both ways; nobody comes in from anywhere, and only HTTPS goes out to anywhere."""
    listed = group.at("properties.securityRules")
    rules = [at(rule, "properties") for rule in listed] if isinstance(listed, list) else []
    for direction in ("Inbound", "Outbound"):
        wanted = {**DENIES_THE_REST, "direction": direction}
        if not any(all(at(rule, key) == value for key, value in wanted.items()) for rule in rules):
            yield f"what no rule names is not denied, {direction.lower()}"
    for rule in rules:
        for key in (*DENIES_THE_REST, "direction"):
            if at(rule, key) is None:
                yield f"a rule without {key}"
        if at(rule, "access") == "Allow" and _lets_in_anybody(rule):
            yield "a rule lets in whoever comes"
        if at(rule, "access") == "Allow" and _lets_out_more_than_https(rule):
            yield "a rule lets out more than HTTPS"


def _lets_in_anybody(rule: Value) -> bool:
    return at(rule, "direction") == "Inbound" and at(rule, "sourceAddressPrefix") in ANYWHERE


def _lets_out_more_than_https(rule: Value) -> bool:
    far = at(rule, "direction") == "Outbound" and at(rule, "destinationAddressPrefix") in ANYWHERE
    return far and (at(rule, "protocol"), at(rule, "destinationPortRange")) != ("Tcp", "443")


def _delegated(subnet: Value) -> bool:
    delegations = at(subnet, "properties.delegations")
    named = [at(each, "properties.serviceName") for each in delegations] if isinstance(delegations, list) else []
    return DELEGATED_TO in named


def _subnets(file: Bicep, network: Resource) -> Iterator[str]:
    subnets = network.at("properties.subnets")
    listed = subnets if isinstance(subnets, list) else []
    if not any(_delegated(subnet) for subnet in listed):
        yield f"no subnet is delegated to {DELEGATED_TO}"
    for subnet in listed:
        name = at(subnet, "name")
        if _delegated(subnet) and at(subnet, "properties.natGateway.id") is None:
            yield f"subnet {name} has no fixed way out"
        if not _delegated(subnet) and at(subnet, "properties.privateEndpointNetworkPolicies") not in KEEP_TO_RULES:
            yield f"endpoints of subnet {name} do not keep to its rules"
        rules = at(subnet, "properties.networkSecurityGroup.id")
        if str(rules) not in {f"{group.name}.id" for group in file.of_type(RULES)}:
            yield f"subnet {name} has no rules"
        if not _delegated(subnet) and at(subnet, "properties.defaultOutboundAccess") is not False:
            yield f"subnet {name} has a way out that nobody chose"
