package page

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// formKey makes the tokens of forms: a page of another site can have a browser send a form, but
// cannot read the token of one. It is beside the check of Origin and Sec-Fetch-Site.
type formKey struct{ key [32]byte }

func newFormKey() *formKey {
	f := &formKey{}
	_, _ = rand.Read(f.key[:]) // never fails
	return f
}

// token is that of a form of an operator at a path.
func (f *formKey) token(o operator, path string) string {
	mac := hmac.New(sha256.New, f.key[:])
	mac.Write([]byte(strings.Join([]string{o.Known, o.Name, path}, "\x00")))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// maxForm bounds a form in bytes.
const maxForm = 16 << 10

// form reads the form that was sent. Its token is wrong after a restart too.
func (r *request) form() (token bool, err error) {
	r.Body = http.MaxBytesReader(r.w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return false, &Refused{http.StatusBadRequest, "the form cannot be read"}
	}
	sent := []byte(r.PostForm.Get("token"))
	return hmac.Equal(sent, []byte(r.server.forms.token(r.who, r.URL.Path))), nil
}
