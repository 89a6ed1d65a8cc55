// The vault of the providers' keys, of the signing secrets of notifications and of the key that signs receipts. No secret is put
// into it by this template.

@description('Name of the vault.')
@minLength(3)
@maxLength(24)
param name string

@description('Region of the vault.')
param location string

@description('Tags of the vault.')
param tags object

@description('Reached by its private endpoint only.')
param closedNetwork bool

@description('Workspace that every request is logged in.')
param workspaceId string

@description('Whether the vault is locked against deleting.')
param locked bool

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  // checkov:skip=CKV_AZURE_109: the network is closed by the switch closedNetwork, which checkov does not evaluate; prod.bicepparam sets it
  // checkov:skip=CKV_AZURE_189: the same switch closes the public address
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: closedNetwork ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: closedNetwork ? 'Deny' : 'Allow'
      bypass: 'None'
    }
  }
}

// Who has asked for which secret, and what the vault answered: alerts look into it, and so will whoever has to find out.
resource log 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'requests'
  properties: {
    workspaceId: workspaceId
    // Into the table AZKVAuditLogs, and not into one that all services share.
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ category: 'AuditEvent', enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: vault
  name: 'keep'
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds the keys of the providers. Take this lock away before you delete the vault.'
  }
}

@description('Resource id of the vault.')
output id string = vault.id

@description('Name of the vault.')
output name string = vault.name

@description('Address of the vault.')
output url string = vault.properties.vaultUri
