package cel

import (
	"errors"
	"reflect"

	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// claimsType is a JSON object: what is in it is known when it is read.
var claimsType = celgo.MapType(celgo.StringType, celgo.DynType)

func typesOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// provider makes reading a part of null an error. The one that it wraps gives the zero
// value of the field, and then what an expression forbids is there for nobody.
type provider struct{ types.Provider }

func strictly(env *celgo.Env) (*celgo.Env, error) {
	return celgo.CustomTypeProvider(provider{env.CELTypeProvider()})(env)
}

var errNull = errors.New("it is null here: compare it with null first")

// FindStructFieldType is asked when an expression is checked; what it returns, when it
// is evaluated.
func (p provider) FindStructFieldType(structType, field string) (*types.FieldType, bool) {
	if structType == "verify.PolicyToken" && field == "claims" {
		return &types.FieldType{
			Type:  claimsType,
			IsSet: func(target any) bool { return notNull(target) },
			GetFrom: func(target any) (any, error) {
				t, ok := target.(*verify.PolicyToken)
				if !ok || t == nil {
					return nil, errNull
				}
				return &claims{Object: t.Claims}, nil
			},
		}, true
	}
	found, ok := p.Provider.FindStructFieldType(structType, field)
	if !ok {
		return nil, false
	}
	strict := *found
	strict.IsSet = func(target any) bool { return notNull(target) && found.IsSet(target) }
	strict.GetFrom = func(target any) (any, error) {
		if isNull(target) {
			return nil, errNull
		}
		return found.GetFrom(target)
	}
	return &strict, true
}

// notNull is true, or ends the evaluation: !has(certificate.nca_id) must not be true of
// no certificate. CEL makes an error of a panic, and has no other way here.
func notNull(target any) bool {
	if isNull(target) {
		panic(errNull)
	}
	return true
}

// isNull tells whether a value is no struct.
func isNull(target any) bool {
	v := reflect.ValueOf(target)
	return !v.IsValid() || v.Kind() == reflect.Pointer && (v.IsNil() || v.Elem().Kind() != reflect.Struct) ||
		v.Kind() != reflect.Pointer && v.Kind() != reflect.Struct
}
