package selftest

import (
	"encoding/json"
	"time"
)

// bad, unapproved and aboutStatements are what wrong statements get, and the clause.
const (
	bad             = "400 invalid_software_statement"
	unapproved      = "400 unapproved_software_statement"
	aboutStatements = "RFC 7591 2.3 and 3.2.2"
)

func signatureOfStatementRows() []hostile {
	const clause = aboutStatements
	document := func(make func(*play, *attempt) (string, error)) func(*play, *attempt) error {
		return func(p *play, a *attempt) (err error) { a.document, err = make(p, a); return err }
	}
	signedOnly := all(statementsOn, func(p *play) string {
		if p.home.configured.Unsigned {
			return "self_signed unsigned"
		}
		return ""
	})
	return []hostile{
		registering("no software statement", clause, bad, statementsOn, func(_ *play, a *attempt) error { a.claims["software_statement"] = json.RawMessage("null"); return nil }),
		registering("software statement that is none", clause, bad, statementsOn, document(func(*play, *attempt) (string, error) { return "hello", nil })),
		registering("software statement of a directory that is not configured", "software_statement", unapproved, statementsOn, func(p *play, a *attempt) error {
			a.statement["iss"], a.statementKey = "Directory of an attacker", p.stranger
			return nil
		}),
		registering("software statement with an altered signature", clause, bad, signedOnly, document(func(_ *play, a *attempt) (string, error) {
			jws, err := a.statementKey.sign(withoutNull(a.statement), nil)
			return altered(jws), err
		})),
		registering("software statement signed with a key that is not the directory's", clause, bad, signedOnly, func(p *play, a *attempt) error { a.statementKey = p.stranger; return nil }),
		registering("software statement signed with another key, under the directory's kid", clause, bad, signedOnly, func(p *play, a *attempt) error {
			a.statementKey = &signingKey{a.statementKey.id, p.stranger.algorithm, p.stranger.private}
			return nil
		}),
		registering("software statement signed by the TPP itself", clause, bad, signedOnly, func(p *play, a *attempt) error { a.statementKey = a.software.signing; return nil }),
		registering("software statement with alg none", "RFC 8725 3.2", bad, signedOnly, document(func(_ *play, a *attempt) (string, error) { return unsigned(withoutNull(a.statement)) })),
		registering("software statement signed by HS256 with the public key", "RFC 8725 3.1", bad, signedOnly, func(_ *play, a *attempt) (err error) { a.statementKey, err = a.statementKey.confused(); return err }),
	}
}

// stated changes a claim of the statement.
func stated(name string, value any) func(*play, *attempt) error {
	return func(_ *play, a *attempt) error { a.statement[name] = value; return nil }
}

func statementRows() []hostile {
	const clause = aboutStatements
	return []hostile{
		registering("software statement that has expired", "RFC 7519 4.1.4", bad, statementsOn, stated("exp", past(time.Hour))),
		registering("software statement of tomorrow", "RFC 7519 4.1.6", bad, statementsOn, stated("iat", future(24*time.Hour))),
		registering("software statement without software_id", clause, bad, statementsOn, stated("software_id", nil)),
		registering("software statement without org_id", clause, bad, all(statementsOn, func(p *play) string {
			if len(p.home.configured.OrgID) > 0 {
				return "software_statement has org_id: another row"
			}
			return ""
		}), stated("org_id", nil)),
		registering("software statement without redirect URIs", redirect, uri, all(statementsOn, func(p *play) string {
			if p.home.configured.UnlistedRedirectURIs {
				return "redirect_uris unlisted"
			}
			return ""
		}), stated("software_redirect_uris", nil)),
		registering("software statement whose keys are at another host", "front-door: jwks_hosts", unapproved, ownKeys, stated("software_jwks_endpoint", "https://attacker.invalid/keys.jwks")),
		registering("software statement whose keys are not at https", "front-door: jwks_hosts", unapproved, ownKeys, stated("software_jwks_endpoint", "http://127.0.0.1/keys.jwks")),
		registering("software statement that is older than the last one", "statement_rollback", bad, all(statementsOn, func(p *play) string {
			switch {
			case p.StatementRollback == "allow":
				return "statement_rollback allow"
			case p.ClientsPerSoftware == 1:
				return "clients_per_software 1: its refusal comes first"
			}
			return ""
		}), func(p *play, a *attempt) error {
			a.statement["iat"] = p.home.issued.Add(-time.Hour).Unix()
			a.claims["scope"] = "openid" // no repetition, which reregister may answer from the registry
			return nil
		}),
	}
}

// demandRows are what the operator demands of statements.
func demandRows() []hostile {
	configured := func(word string, list func(*play) bool) func(*play) string {
		return all(statementsOn, func(p *play) string {
			if !list(p) {
				return "no " + word
			}
			return ""
		})
	}
	return []hostile{
		registering("software statement that is too old", "max_age", bad, configured("max_age", func(p *play) bool { return p.home.configured.MaxAge > 0 }), func(p *play, a *attempt) error {
			a.statement["iat"] = past(time.Duration(p.home.configured.MaxAge) + time.Hour)
			return nil
		}),
		registering("software statement of a withdrawn organisation", "org_status", unapproved, configured("org_status", func(p *play) bool { return len(p.home.configured.OrgStatus) > 0 }), stated("org_status", "Selftest Withdrawn")),
		registering("software statement of another mode", "software_mode", unapproved, configured("software_mode", func(p *play) bool { return len(p.home.configured.SoftwareMode) > 0 }), stated("software_mode", "Selftest Mode")),
		registering("software statement of another organisation", "org_id", unapproved, configured("org_id", func(p *play) bool { return len(p.home.configured.OrgID) > 0 }), stated("org_id", "selftestOther")),
		registering("request signed with a revoked key", "revoked_keys", "400 invalid_client_metadata", all(ownKeys, configured("revoked_keys", func(p *play) bool { return p.home.configured.RevokedKeys })), func(p *play, a *attempt) error {
			s, err := p.home.enrol("Selftest with a revoked key", p.acme.signing)
			if err != nil {
				return err
			}
			p.rewriting.keys.publish(s.path("revoked/"), s.signing.jwk())
			*a = *p.attempt(s, p.acme.method, p.token)
			return nil
		}),
	}
}
