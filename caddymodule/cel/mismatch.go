package cel

import (
	"fmt"
	"slices"
	"strings"
)

// kindOf is a type of CEL in words.
func kindOf(name string) string {
	name, _, _ = strings.Cut(name, "(")
	switch name {
	case "string":
		return "a text"
	case "list":
		return "a list"
	case "map":
		return "a map"
	case "bool":
		return "true or false"
	case "int", "uint", "double":
		return "a number"
	case "timestamp", "google.protobuf.Timestamp":
		return "a time"
	case "duration", "google.protobuf.Duration":
		return "a duration"
	case "null_type":
		return "null"
	case "decision":
		return "a decision"
	case "dyn":
		return "the value of a claim"
	case "optional_type":
		return "an optional value"
	}
	if strings.HasPrefix(name, "verify.") {
		return "an object"
	}
	return "a value of " + name
}

// signature are the kinds of a target, empty if there is none, and of arguments, as CEL
// writes them: string.(list(string), int).
func signature(text string) (target string, args []string) {
	of, rest, ok := strings.Cut(text, ".(")
	if ok && !strings.HasPrefix(text, "(") {
		target = kindOf(of)
	} else {
		rest = strings.TrimPrefix(text, "(")
	}
	rest = strings.TrimSuffix(rest, ")")
	depth, begin := 0, 0
	for i, r := range rest + "," {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 && i > begin {
				args, begin = append(args, kindOf(strings.TrimSpace(rest[begin:i]))), i+1
			}
		}
	}
	return target, args
}

// ofTexts are functions of a text, with one text in their brackets or none.
var ofTexts = []string{"contains", "startsWith", "endsWith", "matches", "lowerAscii", "upperAscii", "trim"}

// mismatch tells in words what a function takes that was given other kinds; empty where
// CEL's own words must do.
func mismatch(function, target string, args []string) string {
	switch {
	case function == "deny" || function == "reject":
		return function + " wants one text, which the TPP is told: " + function + `("...; ask the bank")`
	case function == "allow":
		return "allow takes nothing: allow()"
	case function == "scopes" || function == "grants":
		return function + " wants one list of texts, and stands behind a decision: allow()." + function + `(["...", "..."])`
	case function == "contains" && target == "a list":
		return "contains looks into a text, not into a list; to look for one value in a list write: value in list"
	case slices.Contains(ofTexts, function) && target != "" && target != "a text":
		return fmt.Sprintf("%s reads a text, not %s", function, target)
	case slices.Contains(ofTexts, function) && len(args) == 1 && args[0] != "a text":
		return fmt.Sprintf("%s wants a text in its brackets, not %s", function, args[0])
	case function == "size" && len(args) == 1:
		return "size counts a text, a list or a map, not " + args[0]
	case function == "!_" && len(args) == 1:
		return notBool(args[0])
	case function == "_?_:_" && len(args) == 3:
		return choice(args)
	case len(args) != 2:
		return ""
	}
	a, b := args[0], args[1]
	switch sign := strings.Trim(function, "_@"); sign {
	case "==", "!=", "<", "<=", ">", ">=":
		if a == b { // lists of other values
			return ""
		}
		return fmt.Sprintf("%s compares values of one type, not %s with %s%s", sign, a, b, instead(a, b))
	case "+", "-":
		switch {
		case a == b:
			return ""
		case a == "a list" || b == "a list":
			return fmt.Sprintf("%s does not go with %s and %s; write list + [value]", sign, a, b)
		}
		return fmt.Sprintf("%s does not go with %s and %s%s", sign, a, b, instead(a, b))
	case "&&", "||":
		if a == "true or false" {
			a = b
		}
		return notBool(a)
	case "in":
		return within(a, b)
	}
	return ""
}

// instead is how to compare, or to reckon with, two different kinds.
func instead(a, b string) string {
	has := func(kinds ...string) bool {
		return slices.Contains(kinds, a) && slices.Contains(kinds, b)
	}
	switch {
	case a == "a list" || b == "a list":
		return "; to look for one value in a list write: value in list"
	case has("a time", "a text"):
		return `; write a time as timestamp("2026-07-01T00:00:00Z")`
	case has("a time", "a number"), has("a duration", "a number"), has("a duration", "a text"):
		return `; write a length of time as duration("720h"), in h, m and s`
	case has("true or false", "a text"):
		return "; write true and false without quotation marks"
	case has("a number", "a text"):
		return "; write a number without quotation marks and a text with them, or convert one: int(text), string(number)"
	case a == "an object" || b == "an object":
		return "; read one of the object's members, like certificate.subject"
	}
	return ""
}

// within is what in does not look for.
func within(a, b string) string {
	switch b {
	case "a text":
		return `in looks into a list or a map, not into a text; to look into a text write: text.contains("...")`
	case "a list":
		if a == "a list" {
			return "in looks for one value in a list, not for a list; write sets.contains(list, values) for all of them, or sets.intersects(list, values) for one"
		}
		return fmt.Sprintf("in looks for %s in a list that has other values", a)
	}
	return "in looks into a list or a map, not into " + b
}

// choice is what is wrong with condition ? a : b.
func choice(args []string) string {
	if args[0] != "true or false" && args[0] != "the value of a claim" {
		return fmt.Sprintf("before the ? stands true or false, not %s; a comparison is missing", args[0])
	}
	text := fmt.Sprintf("both sides of the : must be of one type, not %s and %s", args[1], args[2])
	if slices.Contains(args[1:], "a decision") {
		text += "; write allow() in place of true, and deny(text) in place of false"
	}
	return text
}

// notThrough is the error of a loop through what has no items.
func notThrough(kind string) string {
	return "exists, all, filter and map go through a list or a map, not through " + kind
}

// notBool is the error of what stands where true or false must.
func notBool(kind string) string {
	if kind == "a decision" {
		return "a decision stands alone or in condition ? allow() : deny(text), not with &&, || and !"
	}
	return fmt.Sprintf("true or false must stand here, not %s; a comparison is missing", kind)
}
