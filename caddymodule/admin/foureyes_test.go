package admin

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
)

// TestFourEyes: what needs two operators is made by the second one, and by nobody whose name is
// only declared.
func TestFourEyes(t *testing.T) {
	startWith(t, "admin off", "four_eyes delete resume")
	s := stageOf(t, 2)
	anna, bert := operatorCertificate(t, pkix.Name{CommonName: "Anna"}), operatorCertificate(t, pkix.Name{CommonName: "Bert"})
	as := func(cert *x509.Certificate, path, tag, reason string) answer {
		t.Helper()
		s.chains = [][]*x509.Certificate{{cert}}
		return s.askWith(cert, "POST", path, `{"reason":"`+reason+`"}`, "If-Match", tag)
	}
	s.is(s.ask("GET", "status", ""), 200, `"four_eyes":["delete","resume"]`)
	for path, resource := range map[string]string{
		"clients/1/delete": "clients/1", "clients/2/resume": "clients/2", "organisations/org/resume": "organisations/org", "directories/OpenBanking%20Ltd/resume": "directories/OpenBanking%20Ltd",
	} {
		t.Run(path, func(t *testing.T) {
			if strings.HasSuffix(path, "/resume") { // a suspension needs one operator
				s.is(s.ask("POST", resource+"/suspend", change, "If-Match", s.ask("GET", resource, "").tag), 200, `"proposals":[]`)
			}
			before := s.is(s.ask("GET", resource, ""), 200, `"proposals":[]`)
			for _, body := range []string{change, `{"reason":"x","local_user":"root"}`} {
				s.is(s.ask("POST", path, body, "If-Match", before.tag), 403, "configure Caddy's remote admin endpoint")
			}
			s.is(as(anna, path, `"of nothing"`, "x"), 412, "changed since you read it")
			s.is(as(anna, path, before.tag, "contract ended"), 202, `{"proposal":{"v":1,"workspace":"default/obuk","action":"`)
			now := s.is(s.ask("GET", resource, ""), 200, `"operator":{"name":"CN=Anna","known":"certificate"},"reason":"contract ended"`)
			if now.tag != before.tag || len(now.body["proposals"].([]any)) != 1 {
				t.Errorf("%s, %s after %s; want the proposal, and the tag of before", now.says, now.tag, before.tag)
			}
			s.is(as(anna, path, before.tag, "again"), 409, "another operator must make the same call")
			a := as(bert, path, before.tag, "agreed")
			if a.status != 200 && a.status != 204 || strings.Contains(a.says, "CN=Anna") && !strings.Contains(a.says, `"proposals":[]`) {
				t.Errorf("%d %s, want the change made", a.status, a.says)
			}
			s.is(s.ask("GET", "audit", ""), 200, `"operator":{"name":"CN=Bert","known":"certificate"},"reason":"agreed","proposed":{"operator":{"name":"CN=Anna","known":"certificate"},"reason":"contract ended","at":`)
			if a := as(bert, path, before.tag, "twice"); a.status != 412 && a.status != 404 {
				t.Errorf("%d %s, want 412 or 404", a.status, a.says)
			}
		})
	}
}

// TestOneOperatorIsEnough for what four_eyes does not name.
func TestOneOperatorIsEnough(t *testing.T) {
	startWith(t, "admin off", "four_eyes approve")
	s := stageOf(t, 1)
	s.is(s.ask("POST", "clients/1/suspend", change, "If-Match", s.ask("GET", "clients/1", "").tag), 200, `"suspended":true`)
	s.is(s.ask("POST", "clients/1/resume", change, "If-Match", s.ask("GET", "clients/1", "").tag), 200, `"suspended":false`)
	s.is(s.ask("POST", "clients/1/delete", change, "If-Match", s.ask("GET", "clients/1", "").tag), 204, "")
}

// TestTwoOperatorsUndoAnImport, where they are needed to delete clients or to end suspensions.
func TestTwoOperatorsUndoAnImport(t *testing.T) {
	for _, action := range []string{"delete", "resume"} {
		t.Run(action, func(t *testing.T) {
			startWith(t, "admin off", "four_eyes "+action)
			s := stageOf(t, 0)
			anna, bert := operatorCertificate(t, pkix.Name{CommonName: "Anna"}), operatorCertificate(t, pkix.Name{CommonName: "Bert"})
			report := s.is(s.ask("POST", "import?"+write, fileHeader+clientLine("one"), "Content-Type", jsonLines), 200, `"written":1`)
			path := "imports/" + report.body["id"].(string)
			as := func(cert *x509.Certificate, tag string) answer {
				t.Helper()
				s.chains = [][]*x509.Certificate{{cert}}
				return s.askWith(cert, "POST", path+"/undo", `{"reason":"wrong file"}`, "If-Match", tag)
			}
			tag := s.is(s.ask("GET", path, ""), 200, `"proposals":[]`).tag
			s.is(s.ask("POST", path+"/undo", change, "If-Match", tag), 403, "configure Caddy's remote admin endpoint")
			s.is(as(anna, tag), 202, `"action":"`+action+`","kind":"import"`)
			if now := s.is(s.ask("GET", path, ""), 200, `"proposals":[{`); now.tag != tag {
				t.Errorf("%s, want the tag of before", now.tag)
			}
			s.is(as(anna, tag), 409, "another operator must make the same call")
			s.is(s.ask("GET", "clients/one", ""), 200, "")
			s.is(as(bert, tag), 200, `"state":"undone"`)
			s.is(s.ask("GET", "clients/one", ""), 404, "")
		})
	}
}
