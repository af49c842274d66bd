package directory

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// WriteFiles writes what a person needs to play a TPP with curl, and a bank to
// trust the directory:
//
//	ca.pem            root certificate
//	directory.jwks    keys that software statements verify with
//	<software_id>/
//	  transport.pem   client certificate with its issuing CA
//	  transport.key   its key (0600)
//	  signing.key     key for requests and assertions (0600)
//	  ssa.jwt         a software statement, signed now
//	  software.jwks   what the directory publishes for the software
//	  software.json   ids, names, kid, DN
//
// Missing folders are made, files of an earlier run replaced.
func (d *Directory) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "ca.pem"), d.RootPEM(), 0o644); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, "directory.jwks"), d.JWKS()); err != nil {
		return err
	}
	d.mu.Lock()
	all := slices.Clone(d.software)
	d.mu.Unlock()
	for _, s := range all {
		if err := s.writeFiles(filepath.Join(dir, s.SoftwareID)); err != nil {
			return fmt.Errorf("software %s: %w", s.SoftwareID, err)
		}
	}
	return nil
}

func (s *Software) writeFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if _, _, err := WriteCertificate(dir, "transport", s.Transport); err != nil {
		return err
	}
	if err := writeKey(filepath.Join(dir, "signing.key"), s.Signing.Private); err != nil {
		return err
	}
	ssa, err := s.Statement(nil)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "ssa.jwt"), []byte(ssa), 0o644); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, "software.jwks"), s.JWKS()); err != nil {
		return err
	}
	dn, err := SubjectDN(s.Transport.Leaf.RawSubject)
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, "software.json"), map[string]any{
		"software_id": s.SoftwareID, "software_client_name": s.SoftwareName, "software_roles": s.Roles, "software_redirect_uris": s.RedirectURIs,
		"org_id": s.OrgID, "org_name": s.OrgName, "software_jwks_endpoint": s.JWKSEndpoint(),
		"signing_kid": s.Signing.ID, "signing_alg": s.Signing.Algorithm, "transport_subject_dn": dn,
	})
}

// WriteCertificate writes name.pem, leaf first, and name.key (0600) and returns
// the two files.
func WriteCertificate(dir, name string, certificate tls.Certificate) (certificateFile, keyFile string, err error) {
	var chain bytes.Buffer
	for _, der := range certificate.Certificate {
		chain.Write(encodePEM("CERTIFICATE", der))
	}
	certificateFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	if err := writeFile(certificateFile, chain.Bytes(), 0o644); err != nil {
		return "", "", err
	}
	return certificateFile, keyFile, writeKey(keyFile, certificate.PrivateKey)
}

func writeKey(file string, private any) error {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	return writeFile(file, encodePEM("PRIVATE KEY", der), 0o600)
}

func writeJSON(file string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(file, append(raw, '\n'), 0o644)
}

// writeFile replaces the file as a whole: os.WriteFile would keep the mode of an
// older one, and a server that watches it could read half.
func writeFile(file string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".write-*") // 0600 from its first byte
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone when renamed
	if _, err = f.Write(content); err == nil {
		err = f.Chmod(mode)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
