package dn

import (
	"errors"
	"slices"
)

// Match is how the Name of a presented certificate is compared with the one that
// a client was registered with. The zero value is exact: Name.Equal.
//
// A TPP renews its certificate, and some issuers change a part of the Name then (a
// new serialNumber, the organisation's new name). DCR v3.2 lets an ASPSP compare
// the stable part only: "dn_match attributes 2.5.4.97" in place of "dn_match exact".
//
// What the operator gives away with it: every certificate that a trusted CA issued
// with the same values of these attributes is the client's. With 2.5.4.97 alone
// that is each certificate of the organisation, for whatever software and whoever
// in it holds the key: its other softwares may then authenticate as this one at
// the token endpoint and read, change or delete its registration. With O it is
// each organisation that gets the same name from any of the trusted CAs. List what
// the CAs verify and what no two organisations share, and CN too where it names the
// software. The AS compares on its own and is not made wider by this.
type Match struct {
	// Attributes are the attribute types, as dotted OIDs (ParseAttributeType), whose
	// values must be the same. Default: none, the whole Name counts.
	Attributes []string
}

// Match tells whether two names are of the same client. With Attributes it fails
// closed: each listed type must be in both names, with the same values in the same
// order (or all reversed, as in Name.Equal), and no value may be empty.
func (m Match) Match(a, b Name) bool {
	if len(m.Attributes) == 0 {
		return a.Equal(b)
	}
	return !slices.ContainsFunc(m.Attributes, func(oid string) bool {
		values := a.Only(oid)
		return values.hasEmpty() || !values.Equal(b.Only(oid))
	})
}

// SameAttributes is how the text of a registration names a certificate: it has the same
// attributes, in whatever order and RDNs. Go's pkix.Name takes those of one type together
// and moves those that it does not know, older tools sort. That the order does not count
// gives nothing away, because what is registered is the certificate's own name. Whatever
// is compared later is compared as Equal does.
func (d Name) SameAttributes(other Name) bool {
	return slices.Equal(d.attributes(), other.attributes())
}

// PartOf tells whether the other name has all these attributes, and more.
func (d Name) PartOf(other Name) bool {
	own, all := d.attributes(), other.attributes()
	if len(own) >= len(all) {
		return false
	}
	for _, a := range all { // both are sorted
		if len(own) > 0 && own[0] == a {
			own = own[1:]
		}
	}
	return len(own) == 0
}

// attributes are all of the name in the form of Canonical, sorted.
func (d Name) attributes() (out []string) {
	for _, rdn := range d {
		for _, a := range rdn {
			out = append(out, a.canonical())
		}
	}
	slices.Sort(out)
	return out
}

// only is the name without attributes of other types, and without the RDNs that
// have none left.
func (d Name) Only(oid string) Name {
	var out Name
	for _, rdn := range d {
		var kept RDN
		for _, a := range rdn {
			if a.OID == oid {
				kept = append(kept, a)
			}
		}
		if kept != nil {
			out = append(out, kept)
		}
	}
	return out
}

// hasEmpty tells whether a value is empty, or becomes so when it is prepared.
func (d Name) hasEmpty() bool {
	return slices.ContainsFunc(d, func(rdn RDN) bool {
		return slices.ContainsFunc(rdn, func(a Attribute) bool { return prepare(a.Value) == "" })
	})
}

// ParseAttributeType reads an attribute type of a configuration: one of the names
// that Parse knows, in any case, or a dotted OID, with or without "OID.".
func ParseAttributeType(name string) (oid string, err error) {
	return attributeOID(name)
}

// Single is the one value of a type that the name must have exactly once.
func (d Name) Single(oid, name string) (string, error) {
	switch values := d.Values(oid); {
	case len(values) == 0 || values[0] == "":
		return "", errors.New("has no " + name + " in its subject")
	case len(d.Only(oid)) != 1 || len(d.Only(oid)[0]) != 1:
		return "", errors.New("has more than one " + name + " in its subject")
	default:
		return values[0], nil
	}
}
