package authserverprocess

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
)

// spareSigningKeys are the keys of servers that have ended. To make a key costs 0.1 s of
// CPU, under the race detector 0.3 s. A key is spare or of one server: no two servers that
// run at once share one.
var spareSigningKeys = make(chan string, 100)

// takeSigningKey takes a spare key that is not the one of an earlier server, or makes one.
func takeSigningKey(earlier string) (string, error) {
	select {
	case key := <-spareSigningKeys:
		if key != earlier {
			return key, nil
		}
		releaseSigningKey(key)
	default:
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

func releaseSigningKey(key string) {
	select {
	case spareSigningKeys <- key:
	default: // there are enough
	}
}
