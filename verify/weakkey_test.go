package verify

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// rocaPrimeOf is a prime of the flawed generator: k*M + (65537^a mod M), M the product
// of the first count primes.
func rocaPrimeOf(t testing.TB, bits, count int) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for _, p := range primesBelow(2000)[:count] {
		m.Mul(m, big.NewInt(int64(p)))
	}
	most := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	least := new(big.Int).Sub(most, new(big.Int).Rsh(most, 2)) // so that the product has twice the bits
	for {
		a := number(t, m)
		k := number(t, new(big.Int).Div(new(big.Int).Sub(most, least), m))
		k.Add(k, new(big.Int).Div(least, m))
		p := k.Mul(k, m).Add(k, a.Exp(big.NewInt(65537), a, m))
		if p.BitLen() == bits && p.ProbablyPrime(8) {
			return p
		}
	}
}

func number(t testing.TB, most *big.Int) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, most)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func primeOf(t testing.TB, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nextPrime is the prime after n.
func nextPrime(n *big.Int) *big.Int {
	for p := new(big.Int).Add(n, big.NewInt(2)); ; p.Add(p, big.NewInt(2)) {
		if p.ProbablyPrime(8) {
			return p
		}
	}
}

func product(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

// A key that anybody can factor is none: it is skipped, and a JWKS of nothing else says why.
func TestFactorableKeyIsSkipped(t *testing.T) {
	t.Parallel()
	p := primeOf(t, 1024)
	for _, tc := range []struct {
		name string
		n    *big.Int
		want error
	}{
		{"ROCA, 2048 bits", product(rocaPrimeOf(t, 1024, 126), rocaPrimeOf(t, 1024, 126)), errROCA},
		{"ROCA, the primes of the smallest keys only", product(rocaPrimeOf(t, 1024, 39), rocaPrimeOf(t, 1024, 39)), errROCA},
		{"even", product(p, big.NewInt(2)), errSmallFactor},
		{"a multiple of 3", product(primeOf(t, 2047), big.NewInt(3)), errSmallFactor},
		{"a multiple of 65521", product(primeOf(t, 2040), big.NewInt(65521)), errSmallFactor},
		{"all ones", new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), big.NewInt(1)), errSmallFactor},
		{"a square", product(p, p), errCloseFactor},
		{"two primes in succession", product(p, nextPrime(p)), errCloseFactor},
	} {
		t.Run(tc.name, func(t *testing.T) {
			weak := jwkOf(&rsa.PublicKey{N: tc.n, E: 65537}, "kid", "weak")
			if _, err := ParseJWKS([]byte(jwkSet(weak))); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), "no usable key") {
				t.Errorf("alone: %v, want %v", err, tc.want)
			}
			keys, err := ParseJWKS([]byte(jwkSet(weak, jwkOf(softwareKey().Public(), "kid", "good"))))
			if err != nil || len(keys) != 1 || keys[0].ID != "good" {
				t.Errorf("beside a good one: %d keys, %v", len(keys), err)
			}
		})
	}
}

// A good key is not mistaken for a weak one, and exponents that disagree make no key of
// the flawed generator.
func TestGoodKeyIsKept(t *testing.T) {
	for name, n := range map[string]*big.Int{
		"of the standard library": softwareKey().Public().(*rsa.PublicKey).N,
		"with one flawed prime":   product(rocaPrimeOf(t, 1024, 126), primeOf(t, 1024)),
		"primes 2^513 apart":      product(primeOf(t, 1024), primeOf(t, 1024)),
	} {
		if err := checkRSA(&rsa.PublicKey{N: n, E: 65537}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if isROCA(disagreeing(t)) {
		t.Error("a number whose exponents disagree passes for one of the flawed generator")
	}
}

// disagreeing is 65537 modulo the first of two primes with even orders, and 1 modulo all others.
func disagreeing(t *testing.T) *big.Int {
	t.Helper()
	primes := rocaPrimes()
	m := big.NewInt(1)
	for _, p := range primes[1:] {
		m.Mul(m, big.NewInt(int64(p.prime)))
	}
	for n := new(big.Int).Add(m, big.NewInt(1)); ; n.Add(n, m) { // 1 modulo all but the first
		if new(big.Int).Mod(n, big.NewInt(3)).Int64() == 65537%3 {
			return n
		}
	}
}

// The modulus of a revoked key still names it, however weak it is.
func TestFactorableKeyCanBeRevoked(t *testing.T) {
	p := primeOf(t, 1024)
	revoked, err := ParseRevokedJWKS([]byte(jwkSet(jwkOf(&rsa.PublicKey{N: product(p, p), E: 65537}))))
	if err != nil || len(revoked) != 1 || revoked[0].public == nil {
		t.Errorf("%+v, %v; want one key with its public part", revoked, err)
	}
}

// rocaKey is a private key of that generator.
func rocaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	one, e := big.NewInt(1), big.NewInt(65537)
	for {
		p, q := rocaPrimeOf(t, 1024, 126), rocaPrimeOf(t, 1024, 126)
		d := new(big.Int).ModInverse(e, product(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)))
		if d == nil { // 65537 divides p-1 or q-1
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: product(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		if err := key.Validate(); err != nil {
			t.Fatal(err)
		}
		key.Precompute()
		return key
	}
}

// A request that such a key has signed is refused like one of a key that is not there, and
// says why it is not.
func TestRequestOfFactorableKey(t *testing.T) {
	key := rocaKey(t)
	r := rules(t)
	r.Keys = parseKeys(t, jwkOf(key.Public(), "kid", "tpp"), jwkOf(ecKey().Public(), "kid", "other"))
	raw := signJWS(t, requestHeader, jsonOf(with(requestClaims, "software_statement", statement(t, ssaClaims))), "PS256", key)
	_, err := VerifyRequest(context.Background(), []byte(raw), r, noon)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "registration request is signed with a key that is not in the JWKS (kid 'tpp') as one that counts: there it is an RSA key of a flawed generator (ROCA, CVE-2017-15361); make a new key")

	// A new key with the same kid may have been published since.
	renewed := &scriptedKeys{keys: r.Keys.(FixedKeys), refreshed: parseKeys(t, jwkOf(softwareKey().Public(), "kid", "tpp"))}
	r.Keys = renewed
	raw = signJWS(t, requestHeader, jsonOf(with(requestClaims, "software_statement", statement(t, ssaClaims))), "PS256", softwareKey())
	if _, err := VerifyRequest(context.Background(), []byte(raw), r, noon); err != nil || renewed.askedRefresh != 1 {
		t.Errorf("asked %d times for newer keys, %v", renewed.askedRefresh, err)
	}
}

func BenchmarkCheckRSA(b *testing.B) {
	for name, key := range map[string]*rsa.PublicKey{
		"2048": softwareKey().Public().(*rsa.PublicKey), "4096": {N: oddNumber(b, 4096), E: 65537}, "8192": {N: oddNumber(b, 8192), E: 65537},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := checkRSA(key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// oddNumber is a modulus of this length that passes, whatever its factors.
func oddNumber(t testing.TB, bits int) *big.Int {
	t.Helper()
	for {
		n := number(t, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
		n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
		if checkRSA(&rsa.PublicKey{N: n, E: 3}) == nil {
			return n
		}
	}
}

// TestSmallFactor: a modulus is divided by the primes below 65,536. The largest is 65,521,
// and the next one 65,537.
func TestSmallFactor(t *testing.T) {
	other := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 521), big.NewInt(1)) // a prime
	for factor, want := range map[int64]bool{3: true, 65_521: true, 65_537: false} {
		if got := hasSmallFactor(new(big.Int).Mul(other, big.NewInt(factor))); got != want {
			t.Errorf("a modulus with the factor %d: found %v, want %v", factor, got, want)
		}
	}
}
