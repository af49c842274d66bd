package verify

import (
	"context"
	"encoding/asn1"
	"math/rand"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// oddSubject generates a subject as CAs issue them, and as none should: every string
// type, empty and long values, several attributes in an RDN, all that needs an escape.
func oddSubject(t testing.TB, r *rand.Rand) []byte {
	oids := []string{"2.5.4.3", "2.5.4.5", "2.5.4.6", "2.5.4.8", "2.5.4.10", "2.5.4.11", "2.5.4.13", "2.5.4.16", "2.5.4.65", dn.OrganizationIdentifier,
		"0.9.2342.19200300.100.1.1", "0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1", "1.3.6.1.4.1.311.60.2.1.3", "1.2.3.4", "2.999.2147483"}
	pieces := []string{"", " ", "  ", "a", "Bank", ",", "+", `"`, `\`, "#", "<", ">", ";", "=", "'", "/", "?", "*", "%", "&", "\x00", "\n", "\t", "\x7f",
		"é", "Zoë", "\u00a0", "\u0085", "\u200b", "\u2028", "\ufeff", "\ufffd", "🏦", "日本", "/CN=x", "CN=x", "#0c0161", `\2C`, "PSDGB-FCA-1"}
	value := func() dntest.Attribute {
		var b strings.Builder
		for range r.Intn(5) {
			b.WriteString(pieces[r.Intn(len(pieces))])
		}
		v := b.String()
		if most := []int{128, 512, 1024, 2000}; r.Intn(12) == 0 {
			v = strings.Repeat("x", most[r.Intn(len(most))]-r.Intn(24)) + v
		}
		oid := oids[r.Intn(len(oids))]
		ascii := strings.Map(func(c rune) rune { return c & 0x7f }, v)
		switch r.Intn(9) {
		case 0:
			return dntest.PrintableString(oid, ascii)
		case 1:
			return dntest.IA5String(oid, ascii)
		case 2:
			return dntest.Raw(oid, dntest.TagTeletexString, []byte(v)) // Latin-1, whatever the bytes are
		case 3:
			if !strings.ContainsRune(v, utf8.RuneError) {
				return dntest.BMPString(oid, v)
			}
		case 4:
			var units []byte
			for _, c := range strings.ReplaceAll(v, "\ufffd", "") {
				units = append(units, byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
			}
			return dntest.Raw(oid, dntest.TagUniversalString, units)
		case 5:
			return dntest.Raw(oid, []int{asn1.TagInteger, asn1.TagOctetString, asn1.TagBitString}[r.Intn(3)], []byte("\x01"+v))
		case 6:
			return dntest.Raw(oid, dntest.TagVisibleString, []byte(ascii))
		}
		return dntest.UTF8String(oid, v)
	}
	var rdns [][]dntest.Attribute
	for range 1 + r.Intn(6) {
		one := dntest.RDN(value())
		for r.Intn(4) == 0 {
			one = append(one, value())
		}
		rdns = append(rdns, one)
	}
	return dntest.Subject(t, rdns...)
}

// officialPattern is that of the file of DCR 3.4, without its length.
var officialPattern = regexp.MustCompile(`^[Cc][Nn]=[^,]+(?:,[^,\s]+=[^,]+)*$`)

var named = regexp.MustCompile(`; send '([^']*)', or leave the claim out$`)

// TestEverySubjectCanBeSentBack: whatever a certificate is called, what an answer or a
// refusal shows of it is accepted when it is sent, and both can be read. In version 3.4
// both follow the pattern of its file, where the subject can.
func TestEverySubjectCanBeSentBack(t *testing.T) {
	t.Parallel()
	for _, version := range []Version{DefaultVersion, "3.4"} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			sendBack(t, version)
		})
	}
}

func sendBack(t *testing.T, version Version) {
	r := rand.New(rand.NewSource(19))
	certificate := issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey())
	in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth"), ssaClaims)
	request := in.Request.Claims
	in.Supported = version.SupportedMetadata()
	shown, long, longest := 0, 0, 0
	for i := range 600 {
		der := oddSubject(t, r)
		leaf := &Certificate{Leaf: certificate}
		var err error
		if leaf.Subject, err = dn.ParseSubject(der); err != nil {
			t.Fatalf("%x: %v", der, err)
		}
		register := func(text string) (*Checked, error) {
			in.Certificate, in.Request.Claims = leaf, request
			if text != "" {
				in.Request.Claims = request.With("tls_client_auth_subject_dn", strictjson.AppendString(nil, text))
			}
			return CheckMetadata(context.Background(), in)
		}
		captured, err := register("")
		if leaf.Subject.HasNoValue() {
			wantRefusal(t, err, refusal.InvalidClientMetadata, "has an empty subject")
			continue
		}
		if err != nil {
			t.Fatalf("%d, %x: %v", i, der, err)
		}
		answered := version.Shown(captured.Metadata, func() (dn.Name, error) { return leaf.Subject, nil }).TLSClientAuthSubjectDN
		if again, err := register(answered); err != nil || again.Metadata.TLSClientAuthSubjectDN == "" {
			t.Errorf("%d: the answer %q is refused: %v", i, answered, err)
		}
		canFollow := len(leaf.Subject.Only(dn.CommonName)) > 0
		if version == "3.4" && canFollow != officialPattern.MatchString(answered) {
			t.Errorf("%d: the answer %q", i, answered)
		}
		for _, text := range []string{answered, leaf.Subject.PlainText()} {
			if name, err := dn.Parse(text); len(text) <= dn.MaxLength && (err != nil || !name.SameAttributes(leaf.Subject)) {
				t.Errorf("%d: %q is read as %+v, %v", i, text, name, err)
			}
		}
		for _, wrong := range []string{"CN=another", strings.Repeat("CN=\u00e9,", 300), "CN=" + strings.Repeat("\u00e9", 400), "another", "CN=,O="} {
			_, err = register(wrong)
			e := refusal.From(err)
			if e.Kind != refusal.InvalidClientMetadata || len(e.Description) > refusal.MaxDescription || strings.ContainsFunc(e.Description, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
				t.Fatalf("%d: %q, want invalid_client_metadata in at most %d printable characters", i, e.Description, refusal.MaxDescription)
			}
			found := named.FindStringSubmatch(e.Description)
			if found == nil {
				if own := leaf.Subject.PlainText(); len(own) < 320 && (version != "3.4" || canFollow) || !strings.HasSuffix(e.Description, "; leave the claim out, and the subject of the presented certificate is registered") {
					t.Errorf("%d: %d characters are not named by %q", i, len(own), e.Description)
				}
				long++
				continue
			}
			shown++
			longest = max(longest, len(found[1]))
			if version == "3.4" && !dn.FollowsPattern(found[1]) {
				t.Errorf("%d: %q is to be sent", i, found[1])
			}
			again, err := register(found[1])
			if err != nil || !again.Subject.Equal(leaf.Subject) {
				t.Errorf("%d: %q is to be sent, and refused: %v", i, found[1], err)
			}
		}
	}
	if shown < 150 || long < 50 || longest < 300 {
		t.Errorf("%d refusals named a DN, of at most %d characters, %d did not", shown, longest, long)
	}
}

// TestLongSubjectIsNotCut: a name that is cut names nobody.
func TestLongSubjectIsNotCut(t *testing.T) {
	in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=other"), ssaClaims)
	der := dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.10", strings.Repeat("Long ", 90)+"Ltd")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x")))
	subject, err := dn.ParseSubject(der)
	if err != nil {
		t.Fatal(err)
	}
	in.Certificate = &Certificate{Leaf: issue(t, der, ecKey()), Subject: subject}
	_, err = CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "not the subject of the presented certificate; leave the claim out, and the subject of the presented certificate is registered")
}
