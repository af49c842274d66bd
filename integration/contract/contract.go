// Package contract holds answers of the gateway against the official OpenAPI
// files of the Open Banking UK Dynamic Client Registration API. The files are
// data that is not part of this repository.
package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/dlclark/regexp2/v2"
	"github.com/getkin/kin-openapi/openapi3"
)

// Versions are those that there are files of.
var Versions = []string{"3.2", "3.3", "3.4"}

// Specification is one file. Where and why the product goes another way is in
// disagreements.go. It may be used at once.
type Specification struct {
	// Version is 3.2, 3.3 or 3.4.
	Version string
	// RequestClaims: registrations must have the claims of the request too, as the files
	// demand (answer_request_claims). Default: false.
	RequestClaims bool

	document *openapi3.T
	mu       sync.Mutex
	shown    map[int]bool // disagreements that an answer has shown
}

// Open reads the file of a version in a folder. A folder that is not there is an
// error of os.ErrNotExist: then there is nothing to hold answers against.
func Open(folder, version string) (*Specification, error) {
	file := filepath.Join(folder, "client-registration-openapi-v"+version+".yaml")
	if _, err := os.Stat(file); err != nil {
		return nil, err
	}
	document, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &Specification{Version: version, document: document, shown: map[int]bool{}}, nil
}

// Answer is one answer of the registration endpoint.
type Answer struct {
	Method string
	// Client is the id in the address, empty at the register address itself.
	Client string
	Status int
	Header http.Header
	Body   []byte
}

// Check returns what of the answer violates the specification, without the known
// disagreements.
func (s *Specification) Check(a Answer) (violations []string) {
	for _, v := range s.violations(a) {
		if i := s.known(a, v); i >= 0 {
			s.mu.Lock()
			s.shown[i] = true
			s.mu.Unlock()
			continue
		}
		violations = append(violations, fmt.Sprintf("v%s %s %d: %s", s.Version, a.Method, a.Status, v.text))
	}
	return violations
}

// Forgotten are the known disagreements of this version that no answer has shown.
func (s *Specification) Forgotten() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range disagreements {
		if d.in(s) && !s.shown[i] {
			out = append(out, fmt.Sprintf("v%s: no answer shows any more: %s (%s)", s.Version, d.violation, d.why))
		}
	}
	return out
}

// violation is what is wrong, and the value that is, where there is one.
type violation struct {
	text  string
	value any
}

func (s *Specification) violations(a Answer) []violation {
	path := "/register"
	if a.Client != "" {
		path += "/{ClientId}"
	}
	operation := s.document.Paths.Value(path).GetOperation(a.Method)
	if operation == nil {
		return []violation{{text: "the method is not listed"}}
	}
	response := operation.Responses.Value(strconv.Itoa(a.Status))
	if response == nil {
		return []violation{{text: fmt.Sprintf("the status %d is not listed", a.Status)}}
	}
	var out []violation
	for name, h := range response.Value.Headers {
		schema := h.Value.Schema.Value
		if err := schema.VisitJSON(a.Header.Get(name), options...); err != nil {
			out = append(out, violation{text: "header " + name + ": " + flat("", err)[0].text})
		}
	}
	if len(response.Value.Content) == 0 {
		return out // it may have any body
	}
	mediaType, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		return append(out, violation{text: "no media type"})
	}
	content := response.Value.Content.Get(mediaType)
	if content == nil {
		return append(out, violation{text: "the media type " + mediaType + " is not listed"})
	}
	var body any
	if err := json.Unmarshal(a.Body, &body); err != nil {
		return append(out, violation{text: "the body is not JSON"})
	}
	if err := content.Schema.Value.VisitJSON(body, options...); err != nil {
		out = append(out, flat("", err)...)
	}
	return out
}

// options check formats and patterns. The library knows neither of the formats uri
// and JWT, and lets pass what it does not know; v3.4 has a pattern with lookahead,
// which only regexp2 knows.
var options = []openapi3.SchemaValidationOption{
	openapi3.MultiErrors(), openapi3.VisitAsResponse(), openapi3.EnableFormatValidation(),
	openapi3.WithStringFormatValidator("uri", openapi3.NewCallbackValidator(isURI)),
	openapi3.WithStringFormatValidator("JWT", openapi3.NewRegexpFormatValidator(`^[\w-]+\.[\w-]+\.[\w-]*$`)),
	openapi3.SetSchemaRegexCompiler(func(pattern string) (openapi3.RegexMatcher, error) {
		re, err := regexp2.Compile(pattern, regexp2.ECMAScript)
		return matcher{re}, err
	}),
}

func isURI(text string) error {
	u, err := url.Parse(text)
	if err == nil && !u.IsAbs() {
		err = errors.New("not absolute")
	}
	return err
}

type matcher struct{ *regexp2.Regexp }

func (m matcher) MatchString(s string) bool {
	ok, err := m.Regexp.MatchString(s)
	return ok && err == nil
}

// flat are the errors inside an error, each with the path of the member.
func flat(at string, err error) (out []violation) {
	var several openapi3.MultiError
	if errors.As(err, &several) {
		for _, e := range several {
			out = append(out, flat(at, e)...)
		}
		return out
	}
	var schema *openapi3.SchemaError
	if !errors.As(err, &schema) {
		return []violation{{text: strings.TrimSpace(at + " " + err.Error())}}
	}
	at += strings.TrimSuffix("/"+strings.Join(schema.JSONPointer(), "/"), "/")
	if schema.Origin != nil {
		return flat(at, schema.Origin)
	}
	return []violation{{strings.TrimSpace(at + " " + schema.Reason), schema.Value}}
}
