// The closed network: the app's subnet with one fixed outgoing address, a subnet for private endpoints, and the zones in which
// their names are found. Who has a network of their own names its subnets and zones instead, and only what is missing is made.

@description('Goes into the name of every resource.')
param name string

@description('Region of every resource but the zones, which are global.')
param location string

@description('Tags of every resource.')
param tags object

@description('Addresses of the network, at least a /23: a /24 for the app, a /27 for private endpoints.')
param addressSpace string

@description('Whether storage and vault are reached by private endpoints; the zones of their names are made then.')
param closedNetwork bool

@description('Whether the app itself is reached by a private endpoint; the zone of its name is made then.')
param privateInbound bool

@description('Availability zone of the NAT gateway and its address: 1, 2 or 3; empty leaves the choice to Azure.')
@allowed([
  ''
  '1'
  '2'
  '3'
])
param zone string

@description('Id of a subnet of yours for the app, delegated to Microsoft.App/environments. Network, NAT gateway and rules are yours then.')
param existingAppSubnetId string

@description('Id of a subnet of yours for private endpoints; needed with a subnet of yours for the app.')
param existingEndpointSubnetId string

@description('Ids of private DNS zones of yours: blob, queue, table, vault, sites. An empty id: your policy registers the endpoints.')
param existingZoneIds object

var ownNetwork = empty(existingAppSubnetId)
// The network that a subnet of yours lies in.
var networkOf = split(existingAppSubnetId, '/subnets/')[0]

// A /24 as in Microsoft's samples; https://learn.microsoft.com/azure/azure-functions/flex-consumption-how-to
var appAddresses = cidrSubnet(addressSpace, 24, 0)
// The /27 behind it has room for 27 endpoints.
var endpointAddresses = cidrSubnet(addressSpace, 27, 8)

// https://learn.microsoft.com/azure/private-link/private-endpoint-dns
var siteDomains = {
  AzureCloud: 'azurewebsites.net'
  AzureUSGovernment: 'azurewebsites.us'
  AzureChinaCloud: 'chinacloudsites.cn'
}
var zonesOfServices = [
  { part: 'blob', name: 'privatelink.blob.${environment().suffixes.storage}' }
  { part: 'queue', name: 'privatelink.queue.${environment().suffixes.storage}' }
  { part: 'table', name: 'privatelink.table.${environment().suffixes.storage}' }
  { part: 'vault', name: 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}' }
]
var zonesOfSites = [
  { part: 'sites', name: 'privatelink.${siteDomains[environment().name]}' }
]
// A zone that is linked hides services which have a private endpoint in another network, so there is none that is not needed.
var zones = concat(closedNetwork ? zonesOfServices : [], privateInbound ? zonesOfSites : [])

// Rules of the app's subnet. Azure's own name resolution is not subject to them:
// https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#azure-platform-considerations
resource appRules 'Microsoft.Network/networkSecurityGroups@2024-07-01' = if (ownNetwork) {
  name: '${name}-app-rules'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'to-endpoints'
        properties: {
          description: 'Storage and vault, by their private endpoints.'
          direction: 'Outbound'
          priority: 100
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: appAddresses
          sourcePortRange: '*'
          destinationAddressPrefix: endpointAddresses
          destinationPortRange: '443'
        }
      }
      {
        name: 'to-internet'
        properties: {
          description: 'HTTPS only: providers, receivers of notifications, Entra and Azure Monitor. The tag holds the public addresses of Azure too.'
          direction: 'Outbound'
          priority: 110
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: appAddresses
          sourcePortRange: '*'
          destinationAddressPrefix: 'Internet'
          destinationPortRange: '443'
        }
      }
      {
        name: 'within-out'
        properties: {
          description: 'The parts of the delegated environment among themselves, as Container Apps has it: https://learn.microsoft.com/azure/container-apps/firewall-integration'
          direction: 'Outbound'
          priority: 120
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: appAddresses
          sourcePortRange: '*'
          destinationAddressPrefix: appAddresses
          destinationPortRange: '*'
        }
      }
      {
        name: 'nothing-else-out'
        properties: {
          description: 'Plain HTTP, and other machines of this network and its peers.'
          direction: 'Outbound'
          priority: 4096
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
      {
        name: 'within-in'
        properties: {
          description: 'The other side of within-out.'
          direction: 'Inbound'
          priority: 100
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: appAddresses
          sourcePortRange: '*'
          destinationAddressPrefix: appAddresses
          destinationPortRange: '*'
        }
      }
      {
        name: 'probes'
        properties: {
          description: 'Health probes of the delegated environment, as Container Apps has it.'
          direction: 'Inbound'
          priority: 110
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'AzureLoadBalancer'
          sourcePortRange: '*'
          destinationAddressPrefix: appAddresses
          destinationPortRange: '30000-32767'
        }
      }
      {
        name: 'nothing-else-in'
        properties: {
          description: 'Callers come by the front door of the platform or a private endpoint, never by this subnet.'
          direction: 'Inbound'
          priority: 4096
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource endpointRules 'Microsoft.Network/networkSecurityGroups@2024-07-01' = if (ownNetwork) {
  name: '${name}-endpoint-rules'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'from-app'
        properties: {
          description: privateInbound
            ? 'The app, and callers in this network and its peers.'
            : 'The app; nobody else in this network or its peers.'
          direction: 'Inbound'
          priority: 100
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: privateInbound ? 'VirtualNetwork' : appAddresses
          sourcePortRange: '*'
          destinationAddressPrefix: endpointAddresses
          destinationPortRange: '443'
        }
      }
      {
        name: 'nothing-else-in'
        properties: {
          description: 'Endpoints serve HTTPS to whom the rule above names.'
          direction: 'Inbound'
          priority: 4096
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
      {
        name: 'nothing-out'
        properties: {
          description: 'Endpoints answer; they never begin.'
          direction: 'Outbound'
          priority: 4096
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource outgoing 'Microsoft.Network/publicIPAddresses@2024-07-01' = if (ownNetwork) {
  name: '${name}-outgoing'
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Regional' }
  zones: empty(zone) ? [] : [zone]
  properties: {
    publicIPAllocationMethod: 'Static'
    publicIPAddressVersion: 'IPv4'
  }
}

resource gateway 'Microsoft.Network/natGateways@2024-07-01' = if (ownNetwork) {
  name: '${name}-gateway'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  zones: empty(zone) ? [] : [zone]
  properties: {
    idleTimeoutInMinutes: 4
    publicIpAddresses: [{ id: outgoing.id }]
  }
}

// Subnets stand within the network: as resources of their own they would be taken away and put back by each deployment.
// Their names hold no underscore, which Flex Consumption does not take.
resource network 'Microsoft.Network/virtualNetworks@2024-07-01' = if (ownNetwork) {
  name: '${name}-network'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressSpace] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: appAddresses
          // The gateway takes the place of Azure's default way out, which need not be closed for that: whether it may be in a
          // delegated subnet is documented nowhere.
          networkSecurityGroup: { id: appRules.id }
          natGateway: { id: gateway.id }
          delegations: [
            {
              name: 'flex-consumption'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointAddresses
          defaultOutboundAccess: false
          networkSecurityGroup: { id: endpointRules.id }
          privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
        }
      }
    ]
  }
}

resource privateZones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zoneOf in zones: if (!contains(existingZoneIds, zoneOf.part)) {
    name: zoneOf.name
    location: 'global'
    tags: tags
  }
]

// Zones of yours are linked by you.
resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zoneOf, i) in zones: if (!contains(existingZoneIds, zoneOf.part)) {
    parent: privateZones[i]
    name: '${name}-link'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: ownNetwork ? network.id : networkOf }
    }
  }
]

@description('Subnet of the app.')
output appSubnetId string = ownNetwork
  ? resourceId('Microsoft.Network/virtualNetworks/subnets', '${name}-network', 'app')
  : existingAppSubnetId

@description('Subnet of the private endpoints.')
output endpointSubnetId string = ownNetwork
  ? resourceId('Microsoft.Network/virtualNetworks/subnets', '${name}-network', 'endpoints')
  : existingEndpointSubnetId

@description('The address that providers see; empty in a network of yours, which has its own.')
output outgoingAddress string = ownNetwork ? outgoing.?properties.?ipAddress ?? '' : ''

@description('Ids of the zones by part: blob, queue, table and vault in a closed network, and sites with a private way in.')
output zoneIds object = toObject(
  zones,
  zoneOf => zoneOf.part,
  zoneOf => contains(existingZoneIds, zoneOf.part)
    ? existingZoneIds[zoneOf.part]
    : resourceId('Microsoft.Network/privateDnsZones', zoneOf.name)
)
