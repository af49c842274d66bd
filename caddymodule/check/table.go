package check

// Check is one thing that is looked at.
type Check struct {
	// Name stays the same over versions.
	Name     string
	Severity Severity
	// Live: it needs answers of servers.
	Live bool
	// About says in one line what it finds.
	About string

	// run looks. Default: the doubts of this name that loading the configuration has.
	run func(*inspection)
}

// loads is the check that the configuration loads.
const loads = "configuration-loads"

// Checks are all of them, by subject.
var Checks = []Check{
	{loads, Error, false, "the configuration does not load", configurationLoads},
	{"secret-missing", Error, false, "an environment variable or a file with a secret is missing or empty", secretMissing},
	{"file-missing", Error, false, "a file that the configuration names cannot be read", fileMissing},
	{"example-value", Warning, false, "a host name or an audience of the example is still there", in(exampleValues)},

	// The protections of registrations.
	{"protections-off", Error, false, "all four protections are off", in(unprotected)},
	{"client-certificate-off", Warning, false, "registration demands no client certificate", in(clientCertificateOff)},
	{"access-token-off", Warning, false, "registration demands no access token", in(accessTokenOff)},
	{"software-statement-off", Warning, false, "registration demands no software statement", in(softwareStatementOff)},
	{"signed-request-off", Warning, false, "registration demands no signed request", in(signedRequestOff)},
	{"signing-keys-shared", Warning, false, "one set of keys signs the requests of every software", in(signingKeysShared)},
	{"endpoint-certificate-optional", Warning, false, "the token endpoint demands no certificate of every client", in(endpointCertificateOptional)},
	{"registration-passthrough", Warning, false, "the registration endpoint of the authorization server is reachable", in(registrationPassthrough)},
	{"rate-limit-off", Warning, false, "nothing limits the requests of a TPP", in(rateLimitOff)},
	{"fair-share-off", Warning, false, "one organisation may use all the capacity", in(fairShareOff)},
	{"store-share-off", Warning, false, "nothing limits what one TPP may write into the store", in(storeShareOff)},
	{"statement-rollback", Warning, false, "older software statements are accepted", in(statementRollback)},
	{"revocation-unchecked", Warning, false, "client certificates are not checked for revocation", in(revocationUnchecked)},
	{"revocation-soft", Note, false, "certificates pass without a current revocation list", in(revocationSoft)},
	{"revocation-file-ended", Error, false, "a file with a revocation list has ended", in(revocationFileEnded)},
	{"organisation-status-any", Warning, false, "statements of revoked organisations are accepted", in(organisationStatusAny)},
	{"software-mode-any", Note, false, "statements of test software are accepted", in(softwareModeAny)},
	{"statement-age-unlimited", Note, false, "statements of any age are accepted", in(statementAgeUnlimited)},
	{"statements-unsigned", Warning, false, "statements without a signature are accepted", in(unsignedStatements)},
	{"directory-private", Warning, false, "keys may be fetched from private addresses", in(privateDirectory)},
	{"algorithm-weak", Warning, false, "an algorithm that FAPI 1 Advanced forbids may sign", in(algorithmWeak)},
	{"request-lifetime-long", Warning, false, "a signed request may be valid for more than a day", in(requestLifetimeLong)},
	{"audience-missing", Warning, false, "the bank's organisation id is no audience", in(audienceMissing)},
	{"policy-shadow", Note, false, "a policy refuses nothing yet", in(policyShadow)},
	{"token-not-revoked", Warning, false, "used registration tokens cannot be revoked", in(tokenNotRevoked)},
	{"known-clients-missing", Note, false, "the bank's own clients are not named for the time after a restore", in(knownClientsMissing)},
	{"other-bodies", Warning, false, "bodies that are no forms pass", nil},
	{"client-secrets", Warning, false, "clients may authenticate with secrets", nil},
	{"approval-without-access-token", Note, false, "clients that await approval cannot manage their registrations", nil},

	// The authorization server (AS), as configured.
	{"introspection-client-missing", Warning, false, "the gateway has no client at the AS", in(introspectionMissing)},
	{"as-trusts-anybody", Warning, false, "the AS cannot tell the gateway's requests from others", in(serverTrustsAnybody)},
	{"as-errors-passed", Warning, false, "TPPs get error texts of the AS", in(asErrorsPassed)},
	{"client-ids-of-as", Note, false, "the AS chooses client ids, which conformance tools may refuse", in(clientIDsOfAS)},
	{"checks-off", Warning, false, "the gateway does not try its servers by itself", checksOff},

	// The site, its proxy and its logs.
	{"client-auth-missing", Error, false, "the site requests no client certificate", nil},
	{"client-auth-unverified", Error, false, "the site verifies no client certificate", nil},
	{"client-auth-required", Warning, false, "the site requires a certificate of everybody", nil},
	{"trusted-proxies-missing", Error, false, "no load balancer is trusted to pass certificates on", nil},
	{"proxy-missing", Error, false, "nothing sends requests to the AS", nil},
	{"proxy-elsewhere", Error, false, "requests are sent to another server than the AS", nil},
	{"proxy-without-tls", Error, false, "requests are sent to the AS in clear", nil},
	{"proxy-skips-verification", Error, false, "the certificate of a server behind the site is not verified", in(proxySkipsVerification)},
	{"proxy-trust-differs", Warning, false, "the gateway and reverse_proxy trust different roots for the AS", in(proxyTrustDiffers)},
	{"proxy-environment", Warning, false, "the environment sends reverse_proxy through a proxy", proxyEnvironment},
	{"proxy-credentials-plain", Warning, false, "credentials go to a forward proxy in clear", proxyCredentialsPlain},
	{"other-site-to-as", Warning, false, "another site sends requests to the AS", nil},
	{"unguarded-as", Warning, false, "some requests reach the AS without a check", nil},
	{"unguarded-not-needed", Note, false, "an exception of unguarded is not needed", nil},
	{"app-layer4", Warning, false, "the app layer4 may send connections past the gateway", nil},
	{"several-workspaces-on-site", Warning, false, "a site has several workspaces", in(severalOnSite)},
	{"site-name-not-public", Warning, false, "the site has no name for which TPPs trust a certificate", in(siteNameNotPublic)},
	{"site-any-host", Warning, false, "the site has no host name to compare the issuer with", in(siteAnyHost)},
	{"handshakes-not-logged", Note, false, "refused handshakes leave no line in a log", in(handshakesNotLogged)},
	{"admin-open", Error, false, "others than this machine reach the admin endpoint", adminOpen},
	{"admin-off", Note, false, "there is no admin endpoint", adminOff},
	{"four-eyes-without-certificates", Error, false, "two operators are demanded, and none can be known by a certificate", fourEyesWithoutCertificates},
	{"debug-log", Warning, false, "a log has the level DEBUG", debugLog},
	{"credentials-logged", Warning, false, "the access log has credentials", credentialsLogged},
	{"shared-header-logged", Warning, false, "a log may have the shared header", in(sharedHeaderLogged)},
	{"addresses-logged", Warning, false, "an access log may have codes and tokens", addressesLogged},

	// Trust, certificates and secrets.
	{"client-roots", Note, false, "each CA that is trusted for clients, with its end", clientRoots},
	{"client-root-expired", Error, false, "an expired CA is trusted for clients", clientRootExpired},
	{"client-root-expiring", Warning, false, "a CA that is trusted for clients ends within 90 days", clientRootExpiring},
	{"client-root-public", Warning, false, "a public web CA is trusted for clients", clientRootPublic},
	{"client-root-weak", Warning, false, "a certificate that is no CA's, or is weak, is trusted for clients", clientRootWeak},
	{"server-root-expired", Warning, false, "an expired CA is trusted for a server", serverRootExpired},
	{"trust-fetched", Warning, false, "roots are fetched when the configuration loads", trustFetched},
	{"certificate-expired", Error, false, "a certificate in a file has expired", ownCertificateExpired},
	{"certificate-expiring", Warning, false, "a certificate in a file ends within 30 days", ownCertificateExpiring},
	{"secret-in-clear", Error, false, "a secret is written in clear", secretInClear},
	{"secret-file-open", Warning, false, "everybody on the machine can read a secret or a key", secretFileOpen},
	{"keyset-not-readable", Error, false, "the keyset is not readable", nil},
	{"keyset-open-to-others", Warning, false, "the keyset is open to other users", nil},
	{"keyset-generated", Note, false, "the gateway generates its keyset", keysetGenerated},

	// The store, and how the gateway stops.
	{"store-not-writable", Error, false, "the store's directory is not writable", nil},
	{"store-open-to-others", Warning, false, "the store's directory is open to other users", nil},
	{"store-missing", Note, false, "the store's directory is missing or empty", storeMissing},
	{"store-temporary", Error, false, "the store is where a restart or a cleaner removes it", storeTemporary},
	{"store-network", Warning, false, "the store is on a network file system", storeNetwork},
	{"store-room", Warning, false, "the disk of the store has little room", storeRoom},
	{"repair-word-left", Warning, false, "keyset_lost or accept_loss is still written", repairLeft},
	{"runs-as-root", Note, false, "the command runs as root, for whom no right is missing", runsAsRoot},
	{"grace-period-missing", Warning, false, "a stop may wait without limit", gracePeriodMissing},
	{"grace-period-long", Warning, false, "a stop takes longer than the service manager waits", gracePeriodLong},
	{"stop-timeout-unknown", Note, false, "it is not known how long the service manager waits", stopTimeoutUnknown},

	// What only servers can tell.
	{"as-unusable", Error, true, "the discovery document of the AS cannot be fetched or read", inAnswers(serverUnusable)},
	{"as-lacks", Error, true, "the AS lacks what registrations need: all of it at once", lacking("", "the authorization server lacks what registrations need", "No client can be registered.")},
	{"as-issuer", Error, true, "the issuer is not the public URL of the site", lacking("as-issuer", "the issuer is not the public URL of this site", "TPPs look for the discovery document under the issuer, and compare it with what they were given.")},
	{"as-registration-missing", Error, true, "the AS names no registration endpoint", lacking("as-registration-missing", "the authorization server has no registration endpoint", "No client can be registered.")},
	{"as-endpoints-missing", Error, true, "the AS lacks a token endpoint, an authorization endpoint or keys", inAnswers(endpointsMissing)},
	{"as-introspection-missing", Warning, true, "the AS names no introspection endpoint", falling("The gateway cannot ask whose a token is.")},
	{"as-revocation-missing", Warning, true, "the AS names no revocation endpoint", falling("A registration token stays valid at the authorization server after it was used.")},
	{"as-scopes-missing", Warning, true, "the AS lists fewer scopes than are offered", falling("A TPP that asks for them is refused, as if its roles did not cover them.")},
	{"as-endpoints-foreign", Warning, true, "the AS names endpoints of other origins", inAnswers(endpointsForeign)},
	{"as-client-refused", Error, true, "the AS refuses the gateway's credentials", inAnswers(clientRefused)},
	{"as-clock", Error, true, "the clocks of this machine and of the AS differ", inAnswers(clockApart)},
	{"as-certificate-expiring", Warning, true, "the certificate of the AS ends within 30 days", inAnswers(serverCertificateExpiring)},
	{asExposed, Error, true, "the AS answers requests that did not pass the gateway (--address-outside)", inAnswers(serverExposed)},
	{"directory-unusable", Error, true, "the keys of a directory cannot be fetched or used", inAnswers(directoryUnusable)},
	{"revocation-list-missing", Error, true, "there is no current revocation list", inAnswers(listUnusable)},
	{"site-name-unresolved", Warning, true, "the name of the site does not resolve", in(nameUnresolved)},
}
