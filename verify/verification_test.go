package verify

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
)

// fullStatement is as large as the directory's: 60 redirect URIs, 40 claims.
func fullStatement() claims {
	c := with(ssaClaims)
	var uris []string
	for i := range 60 {
		uris = append(uris, fmt.Sprintf("https://tpp.example/callback/of/a/bank/%02d", i))
	}
	c["software_redirect_uris"] = uris
	for i := range 30 {
		c[fmt.Sprintf("software_claim_%02d", i)] = "a value as long as they usually are"
	}
	return c
}

// BenchmarkVerification is the whole front entryPoint: body and statement verified,
// decoded, and held against the rule table.
func BenchmarkVerification(b *testing.B) {
	raw, rules := registration(b, requestClaims, fullStatement()), rules(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		r, err := VerifyRequest(b.Context(), raw, rules, noon)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := CheckMetadata(b.Context(), MetadataInput{Request: r, Supported: DefaultSupportedMetadata()}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStandardLibrary is the least that anybody must do: the same two
// signatures and one JSON decoding of each payload, and no check.
func BenchmarkStandardLibrary(b *testing.B) {
	raw := registration(b, requestClaims, fullStatement())
	verify := func(raw []byte, key crypto.PublicKey) (claims map[string]any) {
		last := bytes.LastIndexByte(raw, '.')
		first := bytes.IndexByte(raw, '.')
		signature, err := base64.RawURLEncoding.AppendDecode(nil, raw[last+1:])
		if err != nil {
			b.Fatal(err)
		}
		sum := sha256.Sum256(raw[:last])
		if err := rsa.VerifyPSS(key.(*rsa.PublicKey), crypto.SHA256, sum[:], signature, nil); err != nil {
			b.Fatal(err)
		}
		payload, err := base64.RawURLEncoding.AppendDecode(nil, raw[first+1:last])
		if err != nil {
			b.Fatal(err)
		}
		if err := json.Unmarshal(payload, &claims); err != nil {
			b.Fatal(err)
		}
		return claims
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		request := verify(raw, softwareKey().Public())
		verify([]byte(request["software_statement"].(string)), directoryKey().Public())
	}
}
