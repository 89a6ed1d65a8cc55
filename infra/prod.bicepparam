// The large one: closed network with a fixed outgoing address, storage over three zones, an instance that waits, a trail that
// nobody can change.
using 'main.bicep'

param name = 'exporterprod'
param closedNetwork = true
// From everywhere, with a sign-in or a key. 'restricted' with allowedAddresses, or 'private', closes that too: docs/network.md.
param inbound = 'public'
param storageSku = 'Standard_ZRS'
param maximumInstances = 20
param alwaysReady = 1
param alertEvery = 'PT5M'
param logRetentionDays = 90
param dailyLogCapGb = 10
param storageLogs = ['StorageWrite', 'StorageDelete']
param keepDeletedDays = 14
param peopleKeepDays = 90
param auditImmutableDays = 365
param auditKeepDays = 1095
param locks = true
