package rego

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// builtins are the functions that a policy may call. A list of those allowed, because
// the next OPA has others. Left out: what reaches network, files or environment, the
// clock and chance, keys and signing, whatever works longer than its arguments are
// long without looking at the deadline, and what is deprecated.
var builtins = strings.Fields(`
	eq assign equal neq gt gte lt lte internal.member_2 internal.member_3 internal.print internal.template_string
	plus minus mul div rem round ceil floor abs and or intersection union numbers.range numbers.range_step
	count sum product max min sort to_number
	array.concat array.flatten array.reverse array.slice
	object.filter object.get object.keys object.remove object.subset object.union object.union_n
	json.filter json.is_valid json.marshal json.remove json.unmarshal walk
	concat contains endswith format_int indexof indexof_n lower print replace split sprintf startswith
	strings.any_prefix_match strings.any_suffix_match strings.count strings.replace_n strings.reverse strings.split_n
	substring trim trim_left trim_prefix trim_right trim_space trim_suffix upper
	regex.find_all_string_submatch_n regex.find_n regex.is_valid regex.match regex.replace regex.split
	glob.match glob.quote_meta
	base64.decode base64.encode base64.is_valid base64url.decode base64url.encode base64url.encode_no_pad
	hex.decode hex.encode urlquery.decode urlquery.encode uri.parse uri.is_valid uuid.parse
	crypto.hmac.equal crypto.md5 crypto.sha1 crypto.sha256 crypto.x509.parse_certificates io.jwt.decode
	net.cidr_contains net.cidr_contains_matches net.cidr_intersects net.cidr_is_valid
	semver.compare semver.is_valid
	time.add_date time.clock time.date time.diff time.format time.parse_duration_ns time.parse_ns time.parse_rfc3339_ns time.weekday
	is_array is_boolean is_null is_number is_object is_set is_string type_name
	rego.metadata.chain rego.metadata.rule`)

// capabilities are Rego v1 with these functions. Logical keywords of later versions are
// none, because references does not follow them.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(ast.RegoV1))
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool { return !slices.Contains(builtins, b.Name) })
	c.FutureKeywords = slices.DeleteFunc(c.FutureKeywords, func(k string) bool {
		return !slices.Contains([]string{"contains", "every", "if", "in"}, k)
	})
	c.Features = []string{ast.FeatureRegoV1, ast.FeatureKeywordsInRefs, ast.FeatureTemplateStrings}
	c.AllowNet = []string{}
	return c
}
