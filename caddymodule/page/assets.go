package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets/*.css assets/*.js
var assetFiles embed.FS

// assetParts are the two files that every page loads, and what each is made of: one request
// for each.
var assetParts = map[string][]string{
	"page.css": {"simple.min.css", "page.css"},
	"page.js":  {"htmx.min.js", "page.js"},
}

// asset is a file, as it is and compressed.
type asset struct{ plain, zipped []byte }

var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{}
	for name, parts := range assetParts {
		var one asset
		for _, part := range parts {
			text, err := assetFiles.ReadFile("assets/" + part)
			if err != nil {
				panic(err) // it is embedded
			}
			one.plain = append(append(one.plain, text...), '\n')
		}
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		_, _ = w.Write(one.plain)
		_ = w.Close()
		one.zipped = b.Bytes()
		all[name] = one
	}
	return all
})

// assetsVersion is in the addresses of assets, so that browsers keep them until they change.
var assetsVersion = version()

func version() string {
	sum := sha256.New()
	for _, name := range []string{"page.css", "page.js"} {
		for _, part := range assetParts[name] {
			text, _ := assetFiles.ReadFile("assets/" + part)
			sum.Write(text)
		}
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:9])
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	one, ok := assets()[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	kind := "text/css; charset=utf-8"
	if strings.HasSuffix(r.PathValue("name"), ".js") {
		kind = "text/javascript; charset=utf-8"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := one.plain
	if slices.ContainsFunc(strings.Split(r.Header.Get("Accept-Encoding"), ","), func(c string) bool { return strings.TrimSpace(c) == "gzip" }) {
		h.Set("Content-Encoding", "gzip")
		body = one.zipped
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
