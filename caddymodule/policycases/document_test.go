package policycases_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

const names = "operation, workspace, remote, now, request, ssa, registration, certificate, token, client, software"

// TestFaultsOfFiles: what is wrong with a file is told with its place, in the words of the
// documentation.
func TestFaultsOfFiles(t *testing.T) {
	for name, tc := range map[string]struct{ text, base, want string }{
		"empty":          {"", "", "cases/one.json:1:1: is empty"},
		"cut off":        {"{\n\t\"want\": {", "", "cases/one.json:2:11: is not JSON: ends too early"},
		"comma too much": {"{\n\t\"change\": {},\n\t\"want\": {\"allowed\": true,}\n}", "", "cases/one.json:3:27: is not JSON: invalid character '}'"},
		"text after it":  {"{\"change\":{},\"want\":{\"allowed\":true}}\n{}", "", "cases/one.json:2:1: has text after its end: one file is one object"},
		"order mark":     {"\xef\xbb\xbf{}", "", "cases/one.json:1:1: begins with a byte order mark (BOM); save it as UTF-8 without one"},
		"UTF-16":         {"\xff\xfe{\x00}\x00", "", "cases/one.json:1:1: is UTF-16; save it as UTF-8"},
		"Latin-1":        {"{\"change\":{\"ssa\":{\"org_name\":\"Caf\xe9\"}}}", "", "cases/one.json:1:34: is not UTF-8; save it as UTF-8"},
		"no object":      {`["want"]`, "", "cases/one.json:1:1: a case must be an object"},
		"unknown member": {`{"chnge": {}}`, "", `cases/one.json:1:2: a case has no member "chnge": there are base, change, want`},
		"capitals":       {`{"Want": {}}`, "", `cases/one.json:1:2: a case has no member "Want": there are base, change, want`},
		"twice":          {"{\n  \"want\": {}, \"want\": {}}", "", `cases/one.json:2:15: a case has "want" twice`},
		"unknown want":   {`{"want": {"alowed": true}}`, "", `cases/one.json:1:11: want has no member "alowed": there are allowed, code, text, reason, fault, approval, scopes, grant_types`},
		"want":           {`{"want": true}`, "", `cases/one.json:1:10: want must be an object`},
		"want.scopes":    {`{"want": {"scopes": "openid"}}`, "", `cases/one.json:1:21: want.scopes must be a list of texts`},
		"want.allowed":   {`{"want": {"allowed": "yes"}}`, "", `cases/one.json:1:22: want.allowed must be true or false`},
		"want.text":      {`{"want": {"text": null}}`, "", `cases/one.json:1:19: want.text must be a text`},
		"change":         {`{"change": null}`, "", `cases/one.json:1:12: change must be an object`},
		"unknown input":  {`{"change": {"certifcate": {}}}`, "", `cases/one.json:1:13: change has no member "certifcate": there are ` + names},
		"unknown part": {`{"change": {"software": {"client": 1}}}`, "",
			`cases/one.json:1:26: change.software has no member "client": there are clients`},
		"list":        {"{\n\t\"change\": {\"certificate\": {\"ünknown\": 0, \"psd2_roles\": 0}}}", "", `cases/one.json:2:29: change.certificate has no member "ünknown": there are subject, `},
		"roles":       {`{"change": {"certificate": {"psd2_roles": "PSP_AI"}}}`, "", `cases/one.json:1:43: change.certificate.psd2_roles must be a list of texts`},
		"one role":    {`{"change": {"certificate": {"psd2_roles": ["PSP_AI", null]}}}`, "", `cases/one.json:1:54: change.certificate.psd2_roles[1] must be a text`},
		"now":         {`{"change": {"now": "1 July 2026"}}`, "", `cases/one.json:1:20: change.now must be a time like 2026-07-01T00:00:00Z`},
		"characters":  {`{"change": {"workspace": "ü", "now": 0}}`, "", `cases/one.json:1:38: change.now must be a time like 2026-07-01T00:00:00Z`},
		"clients":     {`{"change": {"software": {"clients": 1.5}}}`, "", `cases/one.json:1:37: change.software.clients must be a whole number`},
		"claims":      {`{"change": {"ssa": []}}`, "", `cases/one.json:1:20: change.ssa must be an object`},
		"claim twice": {`{"change": {"ssa": {"x": [{"a": 1, "a": 2}]}}}`, "", `cases/one.json:1:36: change.ssa.x[0] has "a" twice`},
		"too deep": {`{"change": {"ssa": {"x": ` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}}, "want": {"allowed": true}}`, "",
			`cases/one.json: the input: at byte `},
		"base is missing":  {"{\n\t\"base\": \"input.json\", \"want\": {\"allowed\": true}}", "", `cases/one.json:2:10: base names input.json, and there is no cases/input.json: base is relative to the case's own file`},
		"base is no input": {`{"base": "../input.json", "want": {"allowed": true}}`, `{"client_id": "a", "input": {}}`, `input.json:1:2: an input has no member "client_id": there are ` + names},
		"base of no type":  {`{"base": "../input.json", "want": {"allowed": true}}`, "{\"request\": {},\n\"ssa\": null}", `input.json:2:8: ssa must be an object`},
		"base is cut off":  {`{"base": "../input.json", "want": {"allowed": true}}`, `{`, `input.json:1:2: is not JSON: ends too early`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "policy.cel"), `true`)
			write(t, filepath.Join(dir, "cases", "one.json"), tc.text)
			if tc.base != "" {
				write(t, filepath.Join(dir, "input.json"), tc.base)
			}
			report, err := policycases.Run(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := report.Results[0].Err; err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), dir+"/", ""), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestInputAsBase: an input as the gateway writes it is a base.
func TestInputAsBase(t *testing.T) {
	for name, in := range map[string]*verify.PolicyInput{
		"nothing": {},
		"all": {Operation: verify.OperationUpdate, Now: time.Now(), Registration: &verify.Metadata{}, Certificate: &verify.PolicyCertificate{},
			Token: &verify.PolicyToken{}, Client: &verify.PolicyClient{Metadata: &verify.Metadata{}}, Software: &verify.PolicySoftware{Clients: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			write(t, filepath.Join(dir, "policy.cel"), `operation == "`+in.Operation+`"`)
			write(t, filepath.Join(dir, "input.json"), string(text))
			write(t, filepath.Join(dir, "cases", "one.json"), `{"base": "../input.json", "want": {"allowed": true}}`)
			report, err := policycases.Run(t.Context(), dir)
			if err != nil || report.Results[0].Err != nil {
				t.Errorf("%+v, %v; want no error", report, err)
			}
		})
	}
}
