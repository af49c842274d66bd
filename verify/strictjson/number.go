package strictjson

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Integer is the member's whole number: digits only, no fraction and no
// exponent (a date as 1e9 or "1700000000" has been read differently by
// different software, so it is no date).
func (o Object) Integer(name string) (n int64, ok bool, err error) {
	raw, err := o.value(name)
	if raw == nil || err != nil {
		return 0, raw != nil, err
	}
	n, err = strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n > math.MaxInt64/2 || n < math.MinInt64/2 {
		return 0, true, errors.New("is not a whole number")
	}
	return n, true, nil
}

var errBefore1970 = errors.New("is before 1970")

// Time is the member's moment, in whole seconds since 1970: what a registration request
// must give. One before that is an error: the zero time stands for none here.
func (o Object) Time(name string) (at time.Time, ok bool, err error) {
	n, ok, err := o.Integer(name)
	switch {
	case err != nil || !ok:
		return time.Time{}, ok, err
	case n < 0:
		return time.Time{}, true, errBefore1970
	}
	return time.Unix(n, 0), true, nil
}

// NumericDate is the member's moment, in seconds since 1970 with or without a fraction
// or an exponent (RFC 7519 2). One before that is an error, as for Time.
func (o Object) NumericDate(name string) (at time.Time, ok bool, err error) {
	raw, err := o.value(name)
	if raw == nil || err != nil {
		return time.Time{}, raw != nil, err
	}
	if at, ok, err = o.Time(name); err == nil {
		return at, ok, nil
	}
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return time.Time{}, true, errors.New("is " + typeOf(raw) + ", not a number of seconds since 1970")
	}
	seconds, fraction, err := splitNumber(string(raw))
	switch {
	case err != nil || seconds > math.MaxInt64/2:
		return time.Time{}, true, errors.New("is too large for a number of seconds since 1970")
	case seconds < 0 || raw[0] == '-' && fraction > 0:
		return time.Time{}, true, errBefore1970
	}
	return time.Unix(int64(seconds), int64(min(fraction, justBelow1)*float64(time.Second))), true, nil
}

// justBelow1 keeps a fraction that floating point rounds up in its second.
const justBelow1 = 1 - 1e-9

// splitNumber is the whole part of a JSON number, and its fraction without a sign.
func splitNumber(text string) (whole, fraction float64, err error) {
	before, after, _ := strings.Cut(text, ".")
	if strings.ContainsAny(text, "eE") {
		before, after = text, ""
	}
	if whole, err = strconv.ParseFloat(before, 64); err != nil {
		return 0, 0, err
	}
	if after != "" {
		fraction, err = strconv.ParseFloat("0."+after, 64)
		return whole, fraction, err
	}
	whole, fraction = math.Modf(whole)
	return whole, math.Abs(fraction), nil
}
