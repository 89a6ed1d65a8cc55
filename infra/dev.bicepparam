// The small one: for trying things out. One data centre, no network of its own, nothing that costs money while nothing runs but
// the alerts and the minute timer.
using 'main.bicep'

param name = 'exporterdev'
param storageSku = 'Standard_LRS'
param maximumInstances = 5
param alertEvery = 'PT15M'
param logRetentionDays = 30
param dailyLogCapGb = 1
param storageLogs = ['StorageDelete']
param keepDeletedDays = 7
param peopleKeepDays = 30
