package rego

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// decision is what the rules say, which question asked for.
func (p *program) decision(answer any) (verify.Decision, error) {
	parts, ok := answer.([]any)
	if !ok || len(parts) != 4 {
		return verify.Decision{}, fmt.Errorf("answers %v", answer)
	}
	deny, allow, narrow := only(parts[0]), only(parts[1]), only(parts[2])
	reasons, err := denials(deny)
	switch {
	case err != nil:
		return verify.Decision{}, err
	case len(reasons) > 0:
		return denied(reasons), nil
	case p.allows && len(parts[1].([]any)) == 0:
		return verify.Decision{Reason: "allow is undefined"}, nil
	case p.allows && allow != true:
		return verify.Decision{Reason: fmt.Sprintf("allow is %s, not true", kindOf(allow))}, nil
	}
	d, err := narrowed(narrow)
	if err == nil {
		d.Approval, err = approval(only(parts[3]))
	}
	if err != nil {
		return verify.Decision{}, err
	}
	return d, nil
}

// approval is why an operator must approve what is allowed, empty for none.
func approval(rule any) (string, error) {
	elements, ok := rule.([]any)
	if !ok && rule != nil {
		return "", fmt.Errorf("require_approval is %s, not a set", kindOf(rule))
	}
	var reasons []string
	for _, element := range elements {
		reason, ok := element.(string)
		if !ok || reason == "" {
			return "", fmt.Errorf("require_approval holds %s; its elements must be strings that are not empty", kindOf(element))
		}
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	return strings.Join(reasons, "; "), nil
}

// only is what an array of at most one holds.
func only(part any) any {
	if list, ok := part.([]any); ok && len(list) == 1 {
		return list[0]
	}
	return nil
}

// denial is one element of deny.
type denial struct {
	text, reason, code string
}

func denials(deny any) ([]denial, error) {
	elements, ok := deny.([]any)
	if !ok && deny != nil {
		return nil, fmt.Errorf("deny is %s, not a set", kindOf(deny))
	}
	found := make([]denial, len(elements))
	for i, element := range elements {
		var err error
		if found[i], err = denialOf(element); err != nil {
			return nil, fmt.Errorf("deny: %w", err)
		}
	}
	slices.SortFunc(found, func(a, b denial) int {
		return cmp.Or(strings.Compare(a.text, b.text), strings.Compare(a.reason, b.reason), strings.Compare(a.code, b.code))
	})
	return found, nil
}

func denialOf(element any) (d denial, err error) {
	object, ok := element.(map[string]any)
	if text, is := element.(string); is {
		object, ok = map[string]any{"text": text}, true
	}
	if !ok {
		return d, fmt.Errorf("holds %s; its elements must be strings, or objects with text, reason and code", kindOf(element))
	}
	for name, v := range object {
		field := map[string]*string{"text": &d.text, "reason": &d.reason, "code": &d.code}[name]
		if field == nil {
			return d, fmt.Errorf("%q is none of text, reason and code", name)
		}
		if *field, ok = v.(string); !ok {
			return d, fmt.Errorf("%s is %s, not a string", name, kindOf(v))
		}
	}
	if d.text == "" {
		return d, errors.New("there is no text")
	}
	if verify.PolicyCodes[d.code] == 0 && d.code != "" {
		return d, fmt.Errorf("code %q is none of unapproved_software_statement and invalid_client_metadata", d.code)
	}
	d.reason = cmp.Or(d.reason, d.text)
	return d, nil
}

func denied(all []denial) verify.Decision {
	reasons := make([]string, len(all))
	for i := range all {
		reasons[i] = all[i].reason
	}
	return verify.Decision{Kind: verify.PolicyCodes[all[0].code], Text: all[0].text, Reason: strings.Join(reasons, "; ")}
}

// narrowed is an allowed decision, with what narrow leaves.
func narrowed(narrow any) (verify.Decision, error) {
	d := verify.Decision{Allowed: true}
	object, ok := narrow.(map[string]any)
	if !ok && narrow != nil {
		return verify.Decision{}, fmt.Errorf("narrow is %s, not an object", kindOf(narrow))
	}
	for name, v := range object {
		field := map[string]*[]string{"scopes": &d.Scopes, "grant_types": &d.GrantTypes}[name]
		if field == nil {
			return verify.Decision{}, fmt.Errorf("narrow: %q is none of scopes and grant_types", name)
		}
		list, ok := v.([]any)
		if !ok {
			return verify.Decision{}, fmt.Errorf("narrow: %s is %s, not an array or a set", name, kindOf(v))
		}
		*field = []string{}
		for _, element := range list {
			value, ok := element.(string)
			if !ok {
				return verify.Decision{}, fmt.Errorf("narrow: %s holds %s; all must be strings", name, kindOf(element))
			}
			*field = append(*field, value)
		}
	}
	return d, nil
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case string:
		return "a string"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return "a number"
}
