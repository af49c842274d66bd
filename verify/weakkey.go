package verify

import (
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"
	"sync"
)

// RSA keys that are well formed and still nobody's secret: whoever reads the JWKS can
// compute the private key, or a part of it, and sign as the software. They are found by
// tests that are cheap beside one fetch: 0.13 ms for 2048 bits, 0.4 ms for 8192,
// see BenchmarkCheckRSA.
var (
	errROCA        = errors.New("an RSA key of a flawed generator (ROCA, CVE-2017-15361)")
	errSmallFactor = errors.New("an RSA key whose modulus has a small factor")
	errCloseFactor = errors.New("an RSA key whose two primes are equal or too close")
)

// isWeak tells whether an error is one of them.
func isWeak(err error) bool {
	return errors.Is(err, errROCA) || errors.Is(err, errSmallFactor) || errors.Is(err, errCloseFactor)
}

// checkRSA refuses a modulus that can be factored at once. One of no bits or of more than
// MaxRSABits is not looked at: Key.fits refuses it, and these tests would cost what its
// owner likes.
func checkRSA(pub *rsa.PublicKey) error {
	n := pub.N
	switch {
	case n.Sign() <= 0 || n.BitLen() > MaxRSABits:
		return nil
	case n.Bit(0) == 0:
		return errSmallFactor
	case isROCA(n):
		return errROCA
	case hasSmallFactor(n):
		return errSmallFactor
	case hasCloseFactors(n):
		return errCloseFactor
	}
	return nil
}

// rocaPrime is a prime of the fingerprint: logs[r] is the power of 65537 that is r
// modulo the prime, or -1; order is how many powers there are.
type rocaPrime struct {
	prime, order int
	logs         []int
}

// rocaPrimes are the odd primes up to 167, those of the smallest keys of that generator;
// the larger keys use these and more.
var rocaPrimes = sync.OnceValue(func() (list []rocaPrime) {
	for _, p := range primesBelow(168)[1:] {
		logs := slices.Repeat([]int{-1}, p)
		order := 0
		for power := 1; logs[power] < 0; power = power * (65537 % p) % p {
			logs[power] = order
			order++
		}
		list = append(list, rocaPrime{p, order, logs})
	}
	return list
})

// isROCA finds the structure of CVE-2017-15361 (Nemec and others, "The Return of
// Coppersmith's Attack", 2017): both primes are k*M + (65537^a mod M), where M is a
// product of the first primes, so that the modulus is a power of 65537 modulo M. It is
// one when it is one modulo each prime of M, and the exponents agree with one another
// (Chinese remainder theorem). A modulus by chance is one in about 2^154.
func isROCA(n *big.Int) bool {
	primes := rocaPrimes()
	logs := make([]int, len(primes))
	var rest big.Int
	for i, p := range primes {
		r := rest.Mod(n, big.NewInt(int64(p.prime))).Int64()
		if logs[i] = p.logs[r]; logs[i] < 0 { // most moduli are out at the third prime
			return false
		}
		for j := range i {
			if (logs[i]-logs[j])%gcd(p.order, primes[j].order) != 0 {
				return false
			}
		}
	}
	return true
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// maxTrial bounds the primes that a modulus is divided by.
const maxTrial = 1 << 16

// trialProduct is the product of the odd primes below maxTrial: 94,000 bits.
var trialProduct = sync.OnceValue(func() *big.Int {
	var factors []*big.Int
	for _, p := range primesBelow(maxTrial)[1:] {
		factors = append(factors, big.NewInt(int64(p)))
	}
	for len(factors) > 1 { // as a tree: the numbers stay of one size
		half := len(factors) / 2
		for i := range half {
			factors[i].Mul(factors[i], factors[len(factors)-1-i])
		}
		factors = factors[:len(factors)-half]
	}
	return factors[0]
})

// hasSmallFactor divides by all the primes at once.
func hasSmallFactor(n *big.Int) bool {
	common := new(big.Int).Mod(trialProduct(), n)
	return common.GCD(nil, nil, n, common).Cmp(big.NewInt(1)) != 0
}

// fermatSteps is how far Fermat's method goes. Primes by a good generator differ in
// their first bits; a generator that takes the next prime for the second is within one step.
const fermatSteps = 300

// squaresModulo tells, for each modulus, which remainders a square has. One of 430
// numbers gets past all of them without being one.
var squaresModulo = sync.OnceValue(func() (tables [][]bool) {
	for _, m := range []int{64, 63, 65, 11, 17, 19} {
		table := make([]bool, m)
		for i := range m {
			table[i*i%m] = true
		}
		tables = append(tables, table)
	}
	return tables
})

// hasCloseFactors looks for a and b with n = a*a - b*b, from the smallest a on: b is
// half the distance of the primes, 0 for a square.
func hasCloseFactors(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) == 0 {
		return true
	}
	a.Add(a, big.NewInt(1))
	tables := squaresModulo()
	type remainders struct{ a, n int }
	rests := make([]remainders, len(tables))
	var rest big.Int
	for i, table := range tables {
		m := big.NewInt(int64(len(table)))
		rests[i] = remainders{int(rest.Mod(a, m).Int64()), int(rest.Mod(n, m).Int64())}
	}
	for step := range fermatSteps {
		square := true
		for i, table := range tables {
			m, x := len(table), rests[i].a+step
			if square = table[((x*x-rests[i].n)%m+m)%m]; !square {
				break
			}
		}
		if square && isSquare(new(big.Int).Add(a, big.NewInt(int64(step))), n) {
			return true
		}
	}
	return false
}

// isSquare tells whether a*a - n is a square.
func isSquare(a, n *big.Int) bool {
	b2 := new(big.Int).Mul(a, a)
	b2.Sub(b2, n)
	b := new(big.Int).Sqrt(b2)
	return b.Mul(b, b).Cmp(b2) == 0
}

// primesBelow is the sieve of Eratosthenes.
func primesBelow(most int) (primes []int) {
	composite := make([]bool, most)
	for p := 2; p < most; p++ {
		if composite[p] {
			continue
		}
		primes = append(primes, p)
		for q := p * p; q < most; q += p {
			composite[q] = true
		}
	}
	return primes
}
