// For azd, which puts the variables of its environment here: azd env set EXPORTER_SIZE prod. Without a variable a parameter has the
// value of its size, as dev.bicepparam and prod.bicepparam give it. Several values of one variable have commas between them.
using 'main.bicep'

var prod = readEnvironmentVariable('EXPORTER_SIZE', 'dev') == 'prod'
var addresses = readEnvironmentVariable('EXPORTER_ALLOWED_ADDRESSES', '')
var applications = readEnvironmentVariable('EXPORTER_SIGN_IN_APPLICATIONS', '')
var emails = readEnvironmentVariable('EXPORTER_ALERT_EMAILS', '')

// 3 to 16 lower-case letters and digits, a letter first, as vaults want it.
param name = readEnvironmentVariable('EXPORTER_NAME', prod ? 'exporterprod' : 'exporterdev')
param segmentsAccountName = readEnvironmentVariable('EXPORTER_SEGMENTS_ACCOUNT', '')
param segmentsAccountResourceGroup = readEnvironmentVariable('EXPORTER_SEGMENTS_RESOURCE_GROUP', '')
param segmentsContainer = readEnvironmentVariable('EXPORTER_SEGMENTS_CONTAINER', 'segments')
param closedNetwork = bool(readEnvironmentVariable('EXPORTER_CLOSED_NETWORK', prod ? 'true' : 'false'))
param inbound = readEnvironmentVariable('EXPORTER_INBOUND', 'public')
param allowedAddresses = empty(addresses) ? [] : map(split(addresses, ','), each => trim(each))
param addressSpace = readEnvironmentVariable('EXPORTER_ADDRESS_SPACE', '10.40.0.0/22')
param outgoingZone = readEnvironmentVariable('EXPORTER_OUTGOING_ZONE', '')
param existingAppSubnetId = readEnvironmentVariable('EXPORTER_EXISTING_APP_SUBNET', '')
param existingEndpointSubnetId = readEnvironmentVariable('EXPORTER_EXISTING_ENDPOINT_SUBNET', '')
// As JSON: {"blob": "<id>", "queue": ""}
param existingZoneIds = json(readEnvironmentVariable('EXPORTER_EXISTING_ZONES', '{}'))
param signInClientId = readEnvironmentVariable('EXPORTER_SIGN_IN_CLIENT_ID', '')
param signInAllowedApplications = empty(applications) ? [] : map(split(applications, ','), each => trim(each))
param customRoles = bool(readEnvironmentVariable('EXPORTER_CUSTOM_ROLES', 'true'))
param alertEmails = empty(emails) ? [] : map(split(emails, ','), each => trim(each))
param documentationUrl = readEnvironmentVariable('EXPORTER_DOCUMENTATION_URL', '')
param sendgridUrl = readEnvironmentVariable('EXPORTER_SENDGRID_URL', 'https://api.sendgrid.com')
param brevoUrl = readEnvironmentVariable('EXPORTER_BREVO_URL', 'https://api.brevo.com')
param openTelemetry = bool(readEnvironmentVariable('EXPORTER_OPEN_TELEMETRY', 'false'))

param storageSku = prod ? 'Standard_ZRS' : 'Standard_LRS'
param maximumInstances = prod ? 20 : 5
param alwaysReady = prod ? 1 : 0
param alertEvery = prod ? 'PT5M' : 'PT15M'
param logRetentionDays = prod ? 90 : 30
param dailyLogCapGb = prod ? 10 : 1
param storageLogs = prod ? ['StorageWrite', 'StorageDelete'] : ['StorageDelete']
param keepDeletedDays = prod ? 14 : 7
param peopleKeepDays = prod ? 90 : 30
// 0 once the policy is locked: docs/audit.md.
param auditImmutableDays = int(readEnvironmentVariable('EXPORTER_AUDIT_IMMUTABLE_DAYS', prod ? '365' : '0'))
param auditKeepDays = int(readEnvironmentVariable('EXPORTER_AUDIT_KEEP_DAYS', prod ? '1095' : '0'))
param locks = bool(readEnvironmentVariable('EXPORTER_LOCKS', prod ? 'true' : 'false'))
