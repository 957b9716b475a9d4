package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var staticFiles embed.FS

// Two scripts are not ours: htmx.min.js and hx-sse.min.js, from dist and dist/ext of the npm package htmx.org 4.0.1.
// Their licence is beside them.

// assets are the files of the pages: styles, scripts and a picture. Each is served under a name that holds a hash of
// its content, so browsers may keep it for ever, and under its plain name, for pages of other packages.
type assets struct {
	files  map[string]asset  // by both names
	hashed map[string]string // plain name to path
}

type asset struct {
	name    string
	content []byte
	tag     string
	kept    bool // under its hashed name
}

func newAssets() *assets {
	a := &assets{files: map[string]asset{}, hashed: map[string]string{}}
	list, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		panic(err) // cannot happen: it is embedded
	}
	for _, f := range list {
		content, err := fs.ReadFile(staticFiles, path.Join("static", f.Name()))
		if err != nil {
			panic(err)
		}
		a.add(f.Name(), content)
	}
	return a
}

func (a *assets) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	tag := hex.EncodeToString(sum[:8])
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + tag + ext
	a.files[name] = asset{name, content, tag, false}
	a.files[hashed] = asset{name, content, tag, true}
	a.hashed[name] = "/static/" + hashed
}

// path returns the path of the file with this plain name.
func (a *assets) path(name string) string { return a.hashed[name] }

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	keep := "no-cache"
	if f.kept {
		keep = "public, max-age=31536000, immutable"
	}
	w.Header().Set("Cache-Control", keep)
	w.Header().Set("ETag", `"`+f.tag+`"`)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.content))
}
