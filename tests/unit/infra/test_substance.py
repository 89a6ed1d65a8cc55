"""The template's substance: nothing is wrong with it as it is, and whoever breaks it is told."""

import shutil
from pathlib import Path

import pytest

from infra.check import ages, substance
from infra.check.template import Template

ROOT = Path(__file__).parents[3]
NETWORK, ENDPOINT = "modules/network.bicep", "modules/private-endpoint.bicep"
STORAGE, VAULT, APP = "modules/storage.bicep", "modules/vault.bicep", "modules/function-app.bicep"
SIGN_IN, APP_SETTINGS = "modules/sign-in.bicep", "modules/app-settings.bicep"
ROLES, DEFINITIONS = "modules/roles.bicep", "modules/role-definitions.bicep"
LIFECYCLE, ALERTS = "modules/lifecycle.bicep", "modules/alerts.bicep"
OUT_443 = "destinationAddressPrefix: 'Internet'\n          destinationPortRange: '443'"
LAST_IN = "never by this subnet.'\n          direction: 'Inbound'"

#: File, what stands there, what is put in its place, and words of the finding. An empty text takes the line away.
BREAKAGES = [
    (STORAGE, "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "properties.allowSharedKeyAccess is True"),
    (STORAGE, "allowSharedKeyAccess: false", "", "properties.allowSharedKeyAccess is not given"),
    (STORAGE, "allowSharedKeyAccess: false", "allowSharedKeyAccess: !closedNetwork", "is !closedNetwork"),
    (
        STORAGE,
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: closedNetwork ? false : true",
        "allowSharedKeyAccess is True",
    ),
    (STORAGE, "allowBlobPublicAccess: false", "", "allowBlobPublicAccess is not given"),
    (STORAGE, "allowCrossTenantReplication: false", "", "allowCrossTenantReplication is not given"),
    (STORAGE, "defaultToOAuthAuthentication: true", "", "defaultToOAuthAuthentication is not given"),
    (STORAGE, "supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false", "supportsHttpsTrafficOnly is False"),
    (STORAGE, "minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS1_0'", "TLS1_0"),
    (STORAGE, "closedNetwork ? 'Deny' : 'Allow'", "'Allow'", "defaultAction is never Deny"),
    (STORAGE, "closedNetwork ? 'Disabled' : 'Enabled'", "'Enabled'", "publicNetworkAccess is never Disabled"),
    (STORAGE, "containerDeleteRetentionPolicy", "", "containerDeleteRetentionPolicy.enabled is not given"),
    (STORAGE, "isVersioningEnabled: keepVersions", "", "isVersioningEnabled is not given"),
    (STORAGE, "isSftpEnabled: false", "isSftpEnabled: true", "isSftpEnabled is True"),
    (STORAGE, "requireInfrastructureEncryption: true", "", "requireInfrastructureEncryption is not given"),
    (STORAGE, "scope: blobs", "", "blobLog: scope is not given"),
    (STORAGE, " = if (!empty(queueLogs)) {", " = {", "queueLog: it may have nothing to log"),
    (STORAGE, "level: 'CanNotDelete'", "level: 'ReadOnly'", "properties.level is ReadOnly"),
    (VAULT, "logAnalyticsDestinationType: 'Dedicated'", "", "who asks it for a secret"),
    (SIGN_IN, "platform: { enabled: true", "platform: { enabled: false", "platform.enabled is False"),
    (SIGN_IN, "clientSecretSettingName: 'OVERRIDE_", "clientSecretSettingName: 'SECRET_", "SettingName is SECRET_"),
    (SIGN_IN, "openIdIssuer:", "", "openIdIssuer is not given"),
    (SIGN_IN, "allowedApplications: concat", "", "allowedApplications is not given"),
    (SIGN_IN, "tokenStore: { enabled: false }", "", "tokenStore.enabled is not given"),
    (APP, "triggers: { http: {", "", "perInstanceConcurrency is not given"),
    (APP, "remoteDebuggingEnabled: false", "remoteDebuggingEnabled: true", "remoteDebuggingEnabled is True"),
    (APP, "ipSecurityRestrictions: inbound", "", "ipSecurityRestrictions is not given"),
    (NETWORK, "sourceAddressPrefix: appAddresses", "", "a rule without sourceAddressPrefix"),
    (NETWORK, "privateEndpointNetworkPolicies:", "", "subnet endpoints do not keep to its rules"),
    (NETWORK, "publicIpAddresses:", "", "publicIpAddresses is not given"),
    (LIFECYCLE, "actions: { baseBlob: { delete:", "", "rule staged: it does nothing"),
    ("modules/host-parts.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'", "publicAccess is Blob"),
    ("modules/segments.bicep", "properties: { publicAccess: 'None' }", "", "publicAccess is not given"),
    ("modules/state-parts.bicep", "allowProtectedAppendWrites: true", "", "allowProtectedAppendWrites is not given"),
    (VAULT, "enablePurgeProtection: true", "", "enablePurgeProtection is not given"),
    (VAULT, "enableRbacAuthorization: true", "enableRbacAuthorization: false", "enableRbacAuthorization is False"),
    (VAULT, "softDeleteRetentionInDays: 90", "softDeleteRetentionInDays: 7", "softDeleteRetentionInDays is 7"),
    (VAULT, "closedNetwork ? 'Deny' : 'Allow'", "'Allow'", "defaultAction is never Deny"),
    (VAULT, "category: 'AuditEvent'", "category: 'AzurePolicyEvaluationDetails'", "who asks it for a secret"),
    ("modules/monitoring.bicep", "disableLocalAuth: true", "", "disableLocalAuth is not given"),
    ("modules/monitoring.bicep", "DisableLocalAuth: true", "DisableLocalAuth: false", "DisableLocalAuth is False"),
    (APP, "kind: 'functionapp,linux'", "kind: 'functionapp'", "kind is functionapp"),
    (APP, "type: 'UserAssignedIdentity'", "type: 'StorageAccountConnectionString'", "StorageAccountConnectionString"),
    (APP, "userAssignedIdentityResourceId: identityId", "", "userAssignedIdentityResourceId is not given"),
    (APP, "value: packageUrl", "", "deployment.storage.value is not given"),
    (
        APP,
        "runtime: { name: 'python', version: '3.13' }",
        "runtime: { name: 'python' }",
        "runtime.version is not given",
    ),
    (APP, "maximumInstanceCount: maximumInstances", "", "maximumInstanceCount is not given"),
    (APP, "instanceMemoryMB: instanceMemoryMB", "", "instanceMemoryMB is not given"),
    (APP, "httpsOnly: true", "httpsOnly: false", "httpsOnly is False"),
    (APP, "functionsRuntimeAdminIsolationEnabled: true", "", "functionsRuntimeAdminIsolationEnabled is not given"),
    (APP, "minTlsVersion: '1.2'", "minTlsVersion: '1.0'", "minTlsVersion is 1.0"),
    (APP, "virtualNetworkSubnetId", "", "virtualNetworkSubnetId is not given"),
    (APP, "scmIpSecurityRestrictionsUseMain: true", "", "scmIpSecurityRestrictionsUseMain is not given"),
    (APP, "inbound == 'restricted' ? 'Deny' : 'Allow'", "'Allow'", "DefaultAction is never Deny"),
    (APP, "inbound == 'private' ? 'Disabled' : 'Enabled'", "'Enabled'", "publicNetworkAccess is never Disabled"),
    (APP, "properties: { allow: false }", "properties: { allow: true }", "properties.allow is True"),
    (APP, "name: 'ftp'", "name: 'other'", "publishing by password over ftp"),
    (APP_SETTINGS, "value: vaultUrl", "value: 'AccountName=a;AccountKey=b'", "a connection string with a secret"),
    (
        APP_SETTINGS,
        "value: vaultUrl",
        "value: 'AccountName=${appName};AccountKey=${vaultUrl}'",
        "a connection string with a secret",
    ),
    (APP_SETTINGS, "value: vaultUrl", "value: app.listKeys().keys[0].value", "app.listKeys gives out a secret"),
    (APP_SETTINGS, "name: 'appsettings'", "name: 'connectionstrings'", "name is connectionstrings"),
    (APP, "concat(allowed, itself)", "allowed", "nothing uses itself"),
    (ROLES, "scope: state", "", "stateOfRuns: its scope is no resource"),
    (ROLES, "scope: state", "scope: resourceGroup()", "stateOfRuns: its scope is no resource"),
    (ROLES, "scope: state", "scope: stateAccount", "Storage Blob Data Contributor is for a container"),
    (ROLES, "guid(vault.id, principalId, vaultRole)", "guid(vault.id, vaultRole)", "secrets: its name is not guid"),
    (ROLES, "guid(vault.id, principalId, vaultRole)", "'fixed'", "secrets: its name is not guid"),
    (ROLES, "principalType: 'ServicePrincipal'", "", "principalType is not given"),
    ("modules/roles-segments.bicep", "scope: segments", "scope: account", "Data Reader is for a container"),
    (
        DEFINITIONS,
        "subscriptionResourceId('Microsoft.Authorization/roleDefinitions', guid(resourceGroup().id, name, role.part))",
        "definitions[0].id",
        "definitions[0].id is below the group",
    ),
    (NETWORK, "defaultOutboundAccess: false", "", "a way out that nobody chose"),
    (NETWORK, "networkSecurityGroup: { id: appRules.id }", "", "subnet app has no rules"),
    (NETWORK, "serviceName: 'Microsoft.App/environments'", "serviceName: 'Microsoft.Web/serverFarms'", "no subnet is"),
    (NETWORK, "natGateway: { id: gateway.id }", "", "subnet app has no fixed way out"),
    (NETWORK, OUT_443, OUT_443.replace("443", "80"), "lets out more than HTTPS"),
    (NETWORK, OUT_443, OUT_443.replace("443", "*"), "lets out more than HTTPS"),
    (NETWORK, "priority: 4096", "priority: 4095", "what no rule names is not denied, outbound"),
    (NETWORK, LAST_IN, LAST_IN.replace("Inbound", "Outbound"), "what no rule names is not denied, inbound"),
    (NETWORK, "sourceAddressPrefix: 'AzureLoadBalancer'", "sourceAddressPrefix: '*'", "lets in whoever comes"),
    (NETWORK, "registrationEnabled: false", "registrationEnabled: true", "registrationEnabled is True"),
    (NETWORK, "publicIPAllocationMethod: 'Static'", "publicIPAllocationMethod: 'Dynamic'", "is Dynamic"),
    (ENDPOINT, "parent: endpoint", "", "no zone group puts its name into a zone"),
    ("main.bicep", "targetId: vault.outputs.id", "targetId: app.outputs.id", "vault can be closed, and has no private"),
    ("main.bicep", "{ account: 'host', service: 'queue'", "", "no private endpoint is for queue"),
    (NETWORK, "param zone string", "param other string = ''\n\nparam zone string", "nobody gives other"),
    (LIFECYCLE, "'${stateContainer}/staging/'", "'${stateContainer}/'", "rule staged: it deletes"),
    (LIFECYCLE, "'${stateContainer}/staging/'", "'${stateContainer}/ledgers/'", "below ledgers/"),
    (LIFECYCLE, "'${stateContainer}/staging/'", "'${stateContainer}/ledgers/old'", "below ledgers/"),
    (LIFECYCLE, "'${stateContainer}/staging/'", "'${stateContainer}/config/exports/'", "below config/exports/"),
    (LIFECYCLE, "'${stateContainer}/staging/'", "'${stateContainer}/r'", "below runs/"),
    (LIFECYCLE, "'${stateContainer}/staging/'", "'${stateContainer}/stages/'", "where the app writes nothing"),
    (LIFECYCLE, "prefixMatch: ['${stateContainer}/staging/']", "prefixMatch: []", "for every blob of the account"),
    (ALERTS, "${rule.means} ${page}${rule.name}", "${rule.means}", "leads to no page"),
    (ALERTS, "name: 'run-held'", "name: 'run-halted'", "has no heading #alert-run-halted"),
    (ALERTS, "name: 'protection-removed'", "name: 'protection-gone'", "has no heading #alert-protection-gone"),
    ("main.bicep", "  dependsOn: [signIn]\n", "", "appSettings does not wait for signIn"),
    ("main.bicep", "    roles\n", "", "app does not wait for roles"),
    ("main.bicep", "    vaultEndpoint\n", "", "app does not wait for vaultEndpoint"),
    ("main.bicep", "vault.outputs.url", "vault.outputs.address", "vault has no output address"),
    ("main.bicep", "emails: alertEmails", "email: alertEmails", "has no parameter email"),
    ("main.bicep", "emails: alertEmails", "", "alerts: emails is not given"),
    ("main.bicep", "'modules/workbook.bicep'", "'modules/alerts.bicep'", "nothing uses this file"),
    ("main.bicep", "'modules/workbook.bicep'", "'modules/gone.bicep'", "there is no modules/gone.bicep"),
    ("main.bicep", "@description('Name of the function app.')\n", "", "APP_NAME has no description"),
    ("main.bicep", "@description('Name of the function app.')\n", "@secure()\n", "APP_NAME is a secret"),
    ("main.bicep", "param closedNetwork bool", "@secure()\nparam closedNetwork bool", "closedNetwork is a secret"),
    ("main.bicep", "module workbook", "modul workbook", "syntax error"),
    ("dev.bicepparam", "param name ", "param nam ", "has no parameter nam"),
    ("dev.bicepparam", "param name ", "var name ", "name is not given"),
]


@pytest.fixture
def copy(tmp_path) -> Path:
    """The files that the checks look at."""
    shutil.copytree(ROOT / "infra", tmp_path / "infra", ignore=shutil.ignore_patterns("node_modules", "*.py", "local"))
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "operations.md", tmp_path / "docs")
    return tmp_path


@pytest.fixture(scope="module")
def unbroken() -> set[str]:
    """What is told of the template as it is."""
    return set(findings(ROOT))


def findings(root: Path) -> list[str]:
    return [str(finding) for finding in substance.look(Template(root)).findings]


def test_the_template_is_as_a_security_team_wants_it():
    look = substance.look(Template(ROOT))
    assert look.findings == ()
    assert 0 not in look.seen.values()


@pytest.mark.parametrize(("name", "before", "after", "words"), BREAKAGES)
def test_what_is_broken_is_told(copy, unbroken, name, before, after, words):
    path = copy / "infra" / name
    text = path.read_text(encoding="utf-8")
    assert before in text, "there is nothing to break here any more"
    broken = text.replace(before, after, 1) if after else without_line(text, before)
    path.write_text(broken, encoding="utf-8")
    told = set(findings(copy)) - unbroken
    assert any(words in finding for finding in told), told


def without_line(text: str, words: str) -> str:
    """The text without the lines that the words stand in, the first time that they do."""
    begin = text.rindex("\n", 0, text.index(words)) + 1
    end = text.index("\n", text.index(words) + len(words.rstrip("\n")))
    return text[:begin] + text[end + 1 :]


def test_each_kind_of_path_that_the_app_writes_is_either_kept_or_may_go():
    known = {each.split("/")[0] for each in (*ages.KEPT, *ages.MAY_GO)}
    written = {line.split("/")[0] for line in folders(ROOT / "docs" / "design.md")}
    assert written == known


def folders(page: Path) -> list[str]:
    """The paths that the page lists as the state."""
    state = page.read_text(encoding="utf-8").split("## State")[1].split("```")[1]
    return [word for line in state.splitlines() for word in line.split("  ") if "/" in word.split(" ")[0]]
