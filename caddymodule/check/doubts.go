package check

// whyDoubt is why the findings matter that loading a configuration makes by itself.
var whyDoubt = map[string]string{
	"app-layer4":                    "Connections that it sends to the authorization server pass no check of the gateway.",
	"other-site-to-as":              "Requests through that site pass no check: a suspended client gets tokens there, and any certificate header arrives.",
	"unguarded-not-needed":          "It opens a way for whatever is written there later.",
	"unguarded-as":                  "These requests reach the authorization server with the headers as the sender wrote them, and without a check of the client.",
	"proxy-missing":                 "Clients register, and then get no tokens.",
	"proxy-without-tls":             "The authorization server speaks https, so that it does not understand the requests; where it does, tokens and secrets are readable on the way.",
	"proxy-elsewhere":               "Clients are registered at one server, and get their tokens from another that does not know them.",
	"other-bodies":                  "The gateway cannot tell for certain which client the authorization server will read from such a body.",
	"client-auth-missing":           "A TPP's certificate is never seen, so that it identifies nobody.",
	"client-auth-unverified":        "Anybody can make such a certificate. So the gateway does not count it.",
	"client-auth-required":          "Users cannot log in, and TPPs and tools cannot read the discovery document.",
	"trusted-proxies-missing":       "Every TPP counts as one without a certificate.",
	"approval-without-access-token": "A client that waits gets no access token. Its TPP can neither correct a mistake nor withdraw the client.",
	"client-secrets":                "FAPI 1 Advanced 5.2.2 allows tls_client_auth and private_key_jwt only.",
	"keyset-not-readable":           "The gateway cannot start as this user.",
	"keyset-open-to-others":         "Whoever reads it and the store has the gateway's credentials at the authorization server.",
	"store-not-writable":            "The gateway cannot start as this user, or stops to write.",
	"store-open-to-others":          "Whoever can write there can put in clients, and whoever can read there sees what TPPs have registered.",
}
