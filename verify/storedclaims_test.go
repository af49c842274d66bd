package verify

import "testing"

// What was accepted in any of its forms is read again as it was.
func TestStoredClaims(t *testing.T) {
	claims := `{"software_statement":"x"}`
	for name, raw := range map[string]string{
		"signed": b64(`{"alg":"PS256"}`) + "." + b64(claims) + ".AA", "unsigned": b64(`{"alg":"none"}`) + "." + b64(claims) + ".",
		"JSON": claims, "JSON after blanks": " \r\n\t" + claims,
	} {
		o, err := StoredClaims([]byte(raw))
		if err != nil || string(o.AppendJSON(nil)) != claims {
			t.Errorf("%s: %s, %v; want %s", name, o.AppendJSON(nil), err, claims)
		}
	}
	for name, raw := range map[string]string{"nothing": "", "one segment": "e30", "a list": b64("{}") + "." + b64("[]") + ".AA", "half an object": "{"} {
		if o, err := StoredClaims([]byte(raw)); err == nil {
			t.Errorf("%s: %s, want an error", name, o.AppendJSON(nil))
		}
	}
}
