package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
)

func digestOf(input string, hash crypto.Hash) []byte {
	h := hash.New()
	h.Write([]byte(input))
	return h.Sum(nil)
}

// RFC 7518 3.5: the salt is as long as the hash. A verifier that finds out the
// length itself takes one signature for more than it is.
func TestSaltLength(t *testing.T) {
	key := softwareKey().(*rsa.PrivateKey)
	keys := parseKeys(t, jwkOf(key.Public(), "kid", "a"))
	for alg, hash := range map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512} {
		input := b64(`{"alg":"`+alg+`","kid":"a"}`) + "." + b64(plainPayload)
		longest := key.Size() - hash.Size() - 2
		for name, length := range map[string]int{
			"none": 0, "one byte": 1, "20, the default of RSASSA-PSS": 20, "one less": hash.Size() - 1, "the hash's": hash.Size(),
			"one more": hash.Size() + 1, "the most": longest,
		} {
			t.Run(alg+" "+name, func(t *testing.T) {
				signature := signPSS(t, key, hash, input, length)
				err := verifyJWS(t, input+"."+b64(signature), SupportedAlgorithms, keys)
				if (err == nil) != (length == hash.Size()) || err != nil && err != errSignature {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// signPSS signs with a salt of any length. The standard library takes 0 for "as
// long as can be", so that no salt is encoded here (RFC 8017 9.1.1).
func signPSS(t *testing.T, key *rsa.PrivateKey, hash crypto.Hash, input string, salt int) []byte {
	t.Helper()
	if salt > 0 {
		signature, err := rsa.SignPSS(rand.Reader, key, hash, digestOf(input, hash), &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	sum := digestOf(string(make([]byte, 8))+string(digestOf(input, hash)), hash)
	em := make([]byte, key.Size()) // of 2048 bits, so that its first bit is to be 0
	masked := em[:len(em)-len(sum)-1]
	masked[len(masked)-1] = 1
	for i, counter := 0, byte(0); i < len(masked); counter++ {
		for _, b := range digestOf(string(sum)+"\x00\x00\x00"+string(counter), hash) {
			if i < len(masked) {
				masked[i] ^= b
				i++
			}
		}
	}
	em[0] &= 0x7f
	copy(em[len(masked):], sum)
	em[len(em)-1] = 0xbc
	signature := new(big.Int).Exp(new(big.Int).SetBytes(em), key.D, key.N).FillBytes(make([]byte, key.Size()))
	if err := rsa.VerifyPSS(&key.PublicKey, hash, digestOf(input, hash), signature, nil); err != nil {
		t.Fatal("fixture: the standard library does not take it with any salt: ", err)
	}
	return signature
}

// RFC 7518 3.4: R and S side by side, each as long as the curve's order, both
// within it. Everything else that a signature could be is none.
func TestECSignatureForm(t *testing.T) {
	for _, curve := range []struct {
		alg  string
		hash crypto.Hash
		key  func() crypto.Signer
	}{{"ES256", crypto.SHA256, ecKey}, {"ES384", crypto.SHA384, ec384Key}, {"ES512", crypto.SHA512, ec521Key}} {
		key := curve.key().(*ecdsa.PrivateKey)
		keys := parseKeys(t, jwkOf(key.Public(), "kid", "a"))
		input := b64(`{"alg":"`+curve.alg+`","kid":"a"}`) + "." + b64(plainPayload)
		order := key.Params().N
		size := (order.BitLen() + 7) / 8
		good := signInput(t, input, curve.alg, key)
		r, s := new(big.Int).SetBytes(good[:size]), new(big.Int).SetBytes(good[size:])
		zero, one := make([]byte, size), big.NewInt(1).FillBytes(make([]byte, size))
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		n := order.FillBytes(make([]byte, size))
		for name, signature := range map[string][]byte{
			"":                   good,
			"DER":                der,
			"r zero":             slices.Concat(zero, good[size:]),
			"s zero":             slices.Concat(good[:size], zero),
			"both zero":          slices.Concat(zero, zero),
			"both one":           slices.Concat(one, one),
			"r the order":        slices.Concat(n, good[size:]),
			"s the order":        slices.Concat(good[:size], n),
			"both the order":     slices.Concat(n, n),
			"swapped":            slices.Concat(good[size:], good[:size]),
			"r alone":            good[:size],
			"one byte":           {0},
			"each with a zero":   slices.Concat([]byte{0}, good[:size], []byte{0}, good[size:]),
			"without last byte":  good[:len(good)-1],
			"without first byte": good[1:],
			"twice":              slices.Concat(good, good),
		} {
			t.Run(curve.alg+" "+name, func(t *testing.T) {
				err := verifyJWS(t, input+"."+b64(signature), SupportedAlgorithms, keys)
				if (err == nil) != (name == "") || err != nil && err != errSignature {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}
