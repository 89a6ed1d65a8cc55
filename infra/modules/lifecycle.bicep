// What is deleted by age in the account of the state. Nothing here touches settings, documents of runs or ledgers: the ledger in
// force looks like any other, and without it everybody would be sent again.

@description('Name of the storage account.')
param accountName string

@description('Container of the state.')
param stateContainer string

@description('Container of the audit trail.')
param auditContainer string

@description('Container of the segments, where they lie in this account too.')
param segmentsContainer string

@description('How long no line of the trail can be deleted, in days.')
param auditImmutableDays int

@description('When a day of the trail is deleted, in days. 0: never.')
param auditKeepDays int

@description('When rejects and drift of a run are deleted, in days. 0: never.')
param peopleKeepDays int

// A run waits a week for its approval, and sends what was staged afterwards: some days more. What is older was left by a run that died.
var stagedDays = 14
// The longest that anybody looks for what became of a notification.
var notificationDays = 90
// What is overwritten or deleted stays as a version, of segments too. Its age counts from when it was written, not from when it was
// overwritten, so that an old one goes with the next run of the rules; it can be brought back from then on for as long as anything
// that was deleted. https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure#rule-actions
var versionDays = 1
var trailDays = max(auditKeepDays, auditImmutableDays)

var always = [
  {
    name: 'staged'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['blockBlob'], prefixMatch: ['${stateContainer}/staging/'] }
      actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: stagedDays } } }
    }
  }
  {
    name: 'notifications'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['blockBlob'], prefixMatch: ['${stateContainer}/notifications/'] }
      actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: notificationDays } } }
    }
  }
  {
    name: 'versions'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['blockBlob'], prefixMatch: ['${stateContainer}/', '${segmentsContainer}/'] }
      actions: { version: { delete: { daysAfterCreationGreaterThan: versionDays } } }
    }
  }
]

var people = [
  {
    name: 'people'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['blockBlob'], prefixMatch: ['${stateContainer}/rejects/', '${stateContainer}/drift/'] }
      actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: peopleKeepDays } } }
    }
  }
]

var trail = [
  {
    name: 'audit'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['appendBlob'], prefixMatch: ['${auditContainer}/audit/'] }
      actions: {
        baseBlob: { delete: { daysAfterModificationGreaterThan: trailDays } }
        version: { delete: { daysAfterCreationGreaterThan: trailDays } }
      }
    }
  }
]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName
}

resource rules 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: concat(always, peopleKeepDays > 0 ? people : [], auditKeepDays > 0 ? trail : [])
    }
  }
}
