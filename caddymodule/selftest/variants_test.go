package selftest

import (
	"strings"
	"testing"
)

const (
	inDirective = "\t\taudience 0015800001HQQrZAAX\n"
	inServer    = "\t\t\ttoken_endpoint_auth auto\n"
)

// TestVariants: what a configuration switches on, off or otherwise changes what must come of
// requests, and a selftest knows it.
func TestVariants(t *testing.T) {
	for _, v := range []struct {
		name     string
		replace  []string
		leftOut  string // a reason that must be given
		mostLeft int
	}{
		{"native", []string{"token_endpoint_auth auto", "token_endpoint_auth native\n\t\t\tvalidate jwt", inDirective, inDirective + "\t\tversion 3.4\n\t\talgorithms ES256\n\t\tregistration_access_token {\n\t\t\trotate\n\t\t}\n\t\tanswer_request_claims\n"}, "token_endpoint_auth native", 25},
		{"bridge", []string{"token_endpoint_auth auto", "token_endpoint_auth bridge {\n\t\t\t\tbind_access_tokens\n\t\t\t}", inDirective, inDirective + "\t\tversion 3.3\n\t\ttoken_endpoint_auth_methods private_key_jwt client_secret_basic client_secret_post client_secret_jwt tls_client_auth\n\t\tcrl list.crl\n\t\tcrl_mode strict\n\t\tbind_certificate ssa_jwks\n\t\tunknown_clients refuse\n\t\tclients_per_software 1\n", "org_status Active", "org_status Active\n\t\t\trevoked_keys"}, "no max_age", 20},
		{"without certificates", []string{inDirective, inDirective + "\t\tclient_certificate off\n"}, "client_certificate off", 60},
		{"without tokens", []string{"\t\taccess_token dcr_register {\n\t\t\tclient registrar {env.REGISTRAR_SECRET}\n\t\t}\n", "\t\taccess_token off\n\t\tmanagement GET\n\t\treregister return\n"}, "access_token off", 60},
		{"without signatures", []string{"\t\tsigned_request_body\n", "\t\tsigned_request_body off\n\t\tbind_certificate common_name\n\t\tmax_lifetime 1h\n"}, "signed_request_body off", 60},
		{"without statements", []string{"\t\tsigned_request_body\n", "\t\tsigned_request_body jwks keys.jwks\n", "\t\tsoftware_statement \"OpenBanking Ltd\" {\n\t\t\tjwks_uri https://keystore.openbanking.org.uk/keystore/openbanking.jwks\n\n\t\t\t# Only organisations with this status at the directory may register. Revoked and Withdrawn may not.\n\t\t\torg_status Active\n\t\t}\n", "\t\tsoftware_statement off\n"}, "software_statement off", 60},
		{"without registration", []string{inDirective, inDirective + "\t\tregistration off\n"}, "registration off", 1000},
		{"with approval", []string{inDirective, inDirective + "\t\tapproval manual\n"}, "", 30},
		{"at the root of a wildcard host, of an AS that writes DNs in its own form, and with a narrow rate limit", []string{
			"https://as.internal:9443/default/obuk {", "https://as.internal:9443 {", "auth.bank.example {", "*.bank.example {",
			inServer, inServer + "\t\t\tdn_format go\n", inDirective, inDirective + "\t\trate_limit 60 2s\n",
		}, "", 30},
	} {
		t.Run(v.name, func(t *testing.T) {
			text := example(t)
			for i := 0; i < len(v.replace); i += 2 {
				if !strings.Contains(text, v.replace[i]) {
					t.Fatalf("%q is not in the example", v.replace[i])
				}
				text = strings.Replace(text, v.replace[i], v.replace[i+1], 1)
			}
			report, err := tried(t, text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range report.Rows {
				if !row.OK {
					t.Errorf("%s: got %s, want %s\n%q", row.Name, row.Got, row.Expected, row.Details)
				}
			}
			if v.name == "with approval" && report.Rows[2].Name != "no token before the bank approves (Selftest tls_client_auth)" {
				t.Errorf("got the row %+v, want that a client waits", report.Rows[2])
			}
			reasons := ""
			for _, one := range report.LeftOut {
				reasons += one.Reason + "\n"
			}
			if !strings.Contains(reasons, v.leftOut) || len(report.LeftOut) > v.mostLeft {
				t.Errorf("got %d rows left out, because of %s; want %d at most, some because of %s", len(report.LeftOut), reasons, v.mostLeft, v.leftOut)
			}
		})
	}
}
