package clientfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// decode reads an object, which strictjson has taken, into a structure. A member that the
// structure does not have is an error: it would be lost. The errors name members, never values:
// a line may have secrets.
func decode(o strictjson.Object, text []byte, to any) error {
	if err := checkNames(o, reflect.TypeOf(to).Elem(), ""); err != nil {
		return err
	}
	err := json.Unmarshal(text, to)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return fmt.Errorf("%s is a %s, and must be %s", kind.Field, strings.Fields(kind.Value)[0], typeName(kind.Type))
	case err != nil:
		return errors.New("a member is not of the form that it must have: base64 for subject and sealed, RFC 3339 for time")
	}
	return nil
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.Uint32:
		return "an integer from 0"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	}
	return "an object"
}

// besideMetadata are members that a client's metadata have elsewhere (RFC 7591 2), and that
// mean something to an import: there they would be lost.
var besideMetadata = []string{"client_id", "client_secret", "client_name", "jwks_uri", "software_id", "software_statement", "registration_access_token", "registration_client_uri"}

// checkNames refuses members that a structure does not have. Of metadata, those may be there
// that other servers keep beside ours.
func checkNames(o strictjson.Object, t reflect.Type, of string) error {
	known := names(t)
	for _, m := range o.Members() {
		if slices.Contains(known, m.Name) {
			continue
		}
		switch {
		case of == "metadata" && slices.Contains(besideMetadata, m.Name):
			return fmt.Errorf("metadata has %s; write it beside metadata", m.Name)
		case of == "metadata" && slices.Contains(verify.RegistrationNames, m.Name):
			continue
		case of != "":
			return fmt.Errorf("%s has the unknown member %s; there are %s", of, quoted(m.Name), strings.Join(known, ", "))
		}
		return fmt.Errorf("unknown member %s; there are %s", quoted(m.Name), strings.Join(known, ", "))
	}
	if t != reflect.TypeFor[Client]() || !o.Has("metadata") {
		return nil
	}
	metadata, _, err := o.Object("metadata")
	if err != nil {
		return fmt.Errorf("metadata %w", err)
	}
	return checkNames(metadata, reflect.TypeFor[verify.Metadata](), "metadata")
}

// names are the members of a structure.
func names(t reflect.Type) (list []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		list = append(list, name)
	}
	return list
}
