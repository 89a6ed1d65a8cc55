// The one identity of the app. It is user-assigned, so that it has its roles before the app first starts.

@description('Name of the identity.')
param name string

@description('Region of the identity.')
param location string

@description('Tags of the identity.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id, for who wears it.')
output id string = identity.id

@description('Object id of its service principal, for roles.')
output principalId string = identity.properties.principalId

@description('Client id, for who asks for a token in its name.')
output clientId string = identity.properties.clientId
