package check

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// Secrets, and the files that the configuration names.

// placeholder is a text that is one placeholder.
var placeholder = regexp.MustCompile(`^\{(env|file)\.([^{}]+)\}$`)

// ours tells whether a place is in the configuration of this module.
func (i *inspection) ours(place string) bool {
	return strings.HasPrefix(place, "apps/openbanking_dcr/") || i.workspaceAt(place) != nil
}

// eachText visits each text of the configuration that is a member of an object.
func (i *inspection) eachText(visit func(place, name, text string, o map[string]any)) {
	walk(i.tree, "", nil, func(place string, o map[string]any, _ []map[string]any) {
		for name, value := range o {
			if text, ok := value.(string); ok {
				visit(join(place, name), name, text, o)
			}
		}
	})
}

func secretMissing(i *inspection) {
	i.eachText(func(place, _, text string, _ map[string]any) {
		m := placeholder.FindStringSubmatch(text)
		if m == nil || !i.ours(place) {
			return
		}
		problem, write := "", ""
		switch value, known := os.LookupEnv(m[2]); {
		case m[1] == "file":
			if info, err := os.Stat(m[2]); err != nil {
				problem, write = "the file "+m[2]+" cannot be read", "put the secret into "+m[2]
			} else if info.Size() == 0 {
				problem, write = "the file "+m[2]+" is empty", "put the secret into "+m[2]
			}
		case !known:
			problem, write = "the environment has no "+m[2], "set "+m[2]+" in the environment of Caddy, and of this command"
		case value == "":
			problem, write = m[2]+" is empty in the environment", "set "+m[2]+" in the environment of Caddy, and of this command"
		}
		if problem != "" {
			i.found(Finding{Place: place, Found: problem, Why: "The configuration does not load without this secret.", Write: write})
		}
	})
}

// namedFiles are the members that name files, lists of them too.
var namedFiles = []string{"pem_files", "trusted_ca_certs_pem_files", "root_ca_pem_files", "client_certificate_file", "client_certificate_key_file"}

// files visits each file that the configuration names. private is one with a key or a secret.
func (i *inspection) files(visit func(place, name string, private bool)) {
	walk(i.tree, "", nil, func(place string, o map[string]any, _ []map[string]any) {
		for _, member := range namedFiles {
			for _, name := range texts(o[member]) {
				visit(join(place, member), name, strings.Contains(member, "key"))
			}
		}
		pair := strings.HasPrefix(place, "apps/tls/certificates/load_files/") || strings.HasSuffix(place, "/tls_client_auth")
		for member, is := range map[string]bool{
			"certificate": pair, "key": pair, "known": strings.HasSuffix(place, "/unknown_clients"),
			"jwks": i.ours(place) && (strings.Contains(place, "/software_statements/") || strings.HasSuffix(place, "/signed_request_body")),
			"from": i.ours(place) && strings.Contains(place, "/crl/"),
		} {
			for _, name := range texts(o[member]) {
				if is && !strings.Contains(name, "://") {
					visit(join(place, member), name, member == "key")
				}
			}
		}
	})
	i.eachText(func(place, _, text string, _ map[string]any) {
		if m := placeholder.FindStringSubmatch(text); m != nil && m[1] == "file" {
			visit(place, m[2], true)
		}
	})
}

func fileMissing(i *inspection) {
	i.files(func(place, name string, _ bool) {
		f, err := os.Open(name)
		if err == nil {
			_ = f.Close() // nothing was written
			return
		}
		if at(i.tree, place) == "{file."+name+"}" {
			return // secret-missing
		}
		directive := ""
		if strings.HasSuffix(place, "pem_files") {
			directive = "trust_pool file"
		}
		i.found(Finding{Directive: directive, Place: place, Found: err.Error(), Why: "The configuration does not load without this file.",
			Write: "put the file there, let the user that runs Caddy read it, or correct its name"})
	})
}

func secretFileOpen(i *inspection) {
	seen := map[string]bool{}
	i.files(func(place, name string, private bool) {
		info, err := os.Stat(name)
		if err != nil || !private || seen[name] || info.Mode().Perm()&0o007 == 0 || !info.Mode().IsRegular() {
			return
		}
		seen[name] = true
		i.found(Finding{Place: place, Found: fmt.Sprintf("the secret in %s is open to everybody on this machine (mode %04o)", name, info.Mode().Perm()),
			Why: "Every program on this machine can use it.", Write: "chmod o= " + name})
	})
}

// secretNames are the members that hold secrets, of any module.
var secretNames = regexp.MustCompile(`(?i)^(.*_)?(secret|password|api_token|api_key|auth_token|access_token|mac_key|secret_access_key|private_key|bearer_token|client_secret)$`)

// secretHeader are the headers that hold secrets.
var secretHeader = regexp.MustCompile(`(?i)^(authorization|proxy-authorization|.*(secret|token|api-?key|password).*)$`)

func secretInClear(i *inspection) {
	clear := func(place string) {
		i.found(Finding{Place: place, Found: "a secret is written in clear",
			Why: "The admin endpoint shows the configuration, Caddy saves it to its disk, and it is where configurations are kept and reviewed.", Write: "write a placeholder in its place, {env.NAME} or {file.path}"})
	}
	i.eachText(func(place, name, text string, _ map[string]any) {
		switch {
		case text == "" || strings.Contains(text, "{") || strings.Contains(place, "/http_basic/"): // which has hashes
		case secretNames.MatchString(name):
			clear(place)
		case strings.Contains(text, "://") && strings.Contains(text, "@"):
			if u, err := url.Parse(text); err == nil {
				if _, has := u.User.Password(); has {
					clear(place)
				}
			}
		}
	})
	walk(i.tree, "", nil, func(place string, o map[string]any, _ []map[string]any) {
		if !strings.HasSuffix(place, "/set") && !strings.HasSuffix(place, "/add") {
			return
		}
		for name, value := range o {
			if text := strings.Join(texts(value), ""); secretHeader.MatchString(name) && text != "" && !strings.Contains(text, "{") {
				clear(join(place, name))
			}
		}
	})
}
