// A way into one service that does not leave the network, and the name by which it is found there.

@description('Name of the endpoint; its network interface is called after it.')
param name string

@description('Region of the endpoint: that of its network.')
param location string

@description('Tags of the endpoint.')
param tags object

@description('Id of the subnet that it gets its address from.')
param subnetId string

@description('Id of the service.')
param targetId string

@description('Part of the service: blob, queue, table, vault or sites.')
@allowed([
  'blob'
  'queue'
  'table'
  'vault'
  'sites'
])
param groupId string

@description('Id of the private DNS zone that its name is put into; empty where a policy of yours does that.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2024-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: '${name}-interface'
    privateLinkServiceConnections: [
      {
        name: groupId
        properties: {
          privateLinkServiceId: targetId
          groupIds: [groupId]
        }
      }
    ]
  }
}

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-07-01' = if (!empty(zoneId)) {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: groupId
        properties: { privateDnsZoneId: zoneId }
      }
    ]
  }
}
