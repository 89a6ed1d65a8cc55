"""What properties of the template have to be, whatever the parameters say: most are optional, and open when left out.

https://learn.microsoft.com/azure/templates has every type with its properties.
"""

from collections.abc import Iterator, Mapping

from infra.check.bicep import Value
from infra.check.look import Finding
from infra.check.template import Made, Template
from infra.check.where import found

TLS = ("TLS1_2", "TLS1_3")

#: Type, or type:name -> path -> what it may be. It has to be given, and be one of these in every case.
ALWAYS: Mapping[str, Mapping[str, tuple[Value, ...]]] = {
    "Microsoft.Storage/storageAccounts": {
        "properties.allowBlobPublicAccess": (False,),
        "properties.allowCrossTenantReplication": (False,),
        "properties.allowSharedKeyAccess": (False,),
        "properties.allowedCopyScope": ("AAD", "PrivateLink"),
        "properties.defaultToOAuthAuthentication": (True,),
        "properties.encryption.requireInfrastructureEncryption": (True,),
        "properties.isLocalUserEnabled": (False,),
        "properties.isSftpEnabled": (False,),
        "properties.minimumTlsVersion": TLS,
        "properties.networkAcls.bypass": ("None", "AzureServices"),
        "properties.supportsHttpsTrafficOnly": (True,),
    },
    "Microsoft.Storage/storageAccounts/blobServices": {
        "properties.containerDeleteRetentionPolicy.enabled": (True,),
        "properties.deleteRetentionPolicy.enabled": (True,),
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {
        "properties.publicAccess": ("None",),
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": {
        "properties.allowProtectedAppendWrites": (True,),
    },
    "Microsoft.KeyVault/vaults": {
        "properties.enablePurgeProtection": (True,),
        "properties.enableRbacAuthorization": (True,),
        "properties.enableSoftDelete": (True,),
        "properties.networkAcls.bypass": ("None", "AzureServices"),
        "properties.softDeleteRetentionInDays": (90,),
    },
    "Microsoft.OperationalInsights/workspaces": {
        "properties.features.disableLocalAuth": (True,),
    },
    "Microsoft.Insights/components": {
        "properties.DisableLocalAuth": (True,),
    },
    "Microsoft.Web/serverfarms": {
        "sku.name": ("FC1",),
        "sku.tier": ("FlexConsumption",),
        "properties.reserved": (True,),
    },
    "Microsoft.Web/sites": {
        "kind": ("functionapp,linux",),
        "identity.type": ("UserAssigned",),
        "properties.functionAppConfig.deployment.storage.authentication.type": ("UserAssignedIdentity",),
        "properties.functionAppConfig.deployment.storage.type": ("blobContainer",),
        "properties.functionAppConfig.runtime.name": ("python",),
        "properties.functionsRuntimeAdminIsolationEnabled": (True,),
        "properties.httpsOnly": (True,),
        "properties.siteConfig.minTlsVersion": ("1.2", "1.3"),
        "properties.siteConfig.remoteDebuggingEnabled": (False,),
        "properties.siteConfig.scmIpSecurityRestrictionsUseMain": (True,),
        "properties.siteConfig.scmMinTlsVersion": ("1.2", "1.3"),
    },
    "Microsoft.Web/sites/config": {
        "name": ("appsettings", "authsettingsV2"),
    },
    # The sign-in. The app judges who may do what, so requests without a token pass.
    "Microsoft.Web/sites/config:authsettingsV2": {
        "properties.globalValidation.requireAuthentication": (False,),
        "properties.globalValidation.unauthenticatedClientAction": ("AllowAnonymous",),
        "properties.httpSettings.requireHttps": (True,),
        "properties.identityProviders.azureActiveDirectory.enabled": (True,),
        "properties.identityProviders.azureActiveDirectory.registration.clientSecretSettingName": (
            "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
        ),
        "properties.login.tokenStore.enabled": (False,),
        "properties.platform.enabled": (True,),
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {
        "properties.allow": (False,),
    },
    "Microsoft.Authorization/roleAssignments": {
        "properties.principalType": ("ServicePrincipal",),
    },
    "Microsoft.Authorization/locks": {
        "properties.level": ("CanNotDelete",),
    },
    "Microsoft.Insights/scheduledQueryRules": {
        "properties.skipQueryValidation": (True,),
    },
    "Microsoft.Network/publicIPAddresses": {
        "properties.publicIPAllocationMethod": ("Static",),
        "sku.name": ("Standard", "StandardV2"),
    },
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": {
        "properties.registrationEnabled": (False,),
    },
}

#: Type, or type:name -> what has to be given, whatever it is.
GIVEN: Mapping[str, tuple[str, ...]] = {
    "Microsoft.Web/sites": (
        "properties.functionAppConfig.deployment.storage.value",
        "properties.functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId",
        "properties.functionAppConfig.runtime.version",
        "properties.functionAppConfig.scaleAndConcurrency.alwaysReady",
        "properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB",
        "properties.functionAppConfig.scaleAndConcurrency.maximumInstanceCount",
        "properties.functionAppConfig.scaleAndConcurrency.triggers.http.perInstanceConcurrency",
        "identity.userAssignedIdentities",
        "properties.serverFarmId",
        "properties.siteConfig.ipSecurityRestrictions",
        "properties.virtualNetworkSubnetId",
    ),
    "Microsoft.Web/sites/config:authsettingsV2": (
        "properties.identityProviders.azureActiveDirectory.registration.clientId",
        "properties.identityProviders.azureActiveDirectory.registration.openIdIssuer",
        "properties.identityProviders.azureActiveDirectory.validation.allowedAudiences",
        "properties.identityProviders.azureActiveDirectory.validation.defaultAuthorizationPolicy.allowedApplications",
    ),
    "Microsoft.Authorization/locks": ("scope",),
    "Microsoft.Authorization/roleAssignments": ("scope",),
    "Microsoft.Insights/components": ("properties.WorkspaceResourceId",),
    "Microsoft.Insights/diagnosticSettings": ("scope", "properties.logs", "properties.workspaceId"),
    "Microsoft.Network/natGateways": ("properties.publicIpAddresses",),
    "Microsoft.OperationalInsights/workspaces": (
        "properties.retentionInDays",
        "properties.workspaceCapping.dailyQuotaGb",
    ),
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": (
        "properties.immutabilityPeriodSinceCreationInDays",
    ),
    "Microsoft.Storage/storageAccounts/blobServices": ("properties.isVersioningEnabled",),
}

#: Type -> path -> what it is with the switch of that kind on: closed networks, people who may not come in.
SOMETIMES: Mapping[str, Mapping[str, Value]] = {
    "Microsoft.Storage/storageAccounts": {
        "properties.networkAcls.defaultAction": "Deny",
        "properties.publicNetworkAccess": "Disabled",
    },
    "Microsoft.KeyVault/vaults": {
        "properties.networkAcls.defaultAction": "Deny",
        "properties.publicNetworkAccess": "Disabled",
    },
    "Microsoft.Web/sites": {
        "properties.publicNetworkAccess": "Disabled",
        "properties.siteConfig.ipSecurityRestrictionsDefaultAction": "Deny",
    },
}


def findings(template: Template) -> Iterator[Finding]:
    """Every property of the tables that is missing, or something else."""
    for kind in sorted({*ALWAYS, *GIVEN, *SOMETIMES}):
        for made in _of(template, kind):
            for path, allowed in ALWAYS.get(kind, {}).items():
                yield from _always(template, made, path, allowed)
            for path in GIVEN.get(kind, ()):
                if not _values(template, made, path):
                    yield found(template, made.file, made.resource.line, f"{made.resource.name}: {path} is not given")
            for path, value in SOMETIMES.get(kind, {}).items():
                if value not in _values(template, made, path):
                    yield found(
                        template, made.file, made.resource.line, f"{made.resource.name}: {path} is never {value}"
                    )


def looked_at(template: Template) -> int:
    """How many resources the tables have something to say of."""
    kinds = {*ALWAYS, *GIVEN, *SOMETIMES}
    return sum(len(list(template.resources(kind))) for kind in kinds if ":" not in kind)


def _of(template: Template, kind: str) -> Iterator[Made]:
    """The resources of a type, or only those of one name."""
    type_name, _, name = kind.partition(":")
    return (made for made in template.resources(type_name) if not name or name in _values(template, made, "name"))


def _always(template: Template, made: Made, path: str, allowed: tuple[Value, ...]) -> Iterator[Finding]:
    values = _values(template, made, path)
    if not values:
        yield found(
            template,
            made.file,
            made.resource.line,
            f"{made.resource.name}: {path} is not given: it has to be {_listed(allowed)}",
        )
    for value in values:
        if not any(value is each or (value == each and type(value) is type(each)) for each in allowed):
            yield found(
                template,
                made.file,
                made.resource.line,
                f"{made.resource.name}: {path} is {value}: it has to be {_listed(allowed)}",
            )


def _values(template: Template, made: Made, path: str) -> list[Value]:
    """Everything that the property can be."""
    return [meant.value for meant in template.at(made.body, path) if meant.value is not None]  # null is not given


def _listed(allowed: tuple[Value, ...]) -> str:
    return " or ".join(str(each) for each in allowed)
