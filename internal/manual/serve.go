package manual

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// Handler serves the manual: /docs, /docs/NAME as HTML and /docs/NAME.md as it is written, /docs/files/PATH for files
// that pages link to, /llms.txt and /llms-full.txt. All else goes to next. It asks nobody who they are: the manual is no
// secret. Home is the path that the pages offer as the way back to the console; empty for a program without one.
func Handler(home string, next http.Handler) http.Handler {
	m := &server{home: home, pages: map[string]func() ([]byte, error){}}
	for _, p := range Pages() {
		m.pages[p.Name] = sync.OnceValues(func() ([]byte, error) { return render(p, home) })
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /docs", m.page)
	mux.HandleFunc("GET /docs/{$}", m.page)
	mux.HandleFunc("GET /docs/{name...}", m.page)
	mux.HandleFunc("GET /docs/files/{path...}", m.file)
	mux.HandleFunc("GET /llms.txt", m.text("text/plain; charset=utf-8", Index))
	mux.HandleFunc("GET /llms-full.txt", m.text("text/plain; charset=utf-8", Whole))
	mux.Handle("/", next)
	return mux
}

type server struct {
	home  string
	pages map[string]func() ([]byte, error)
}

// give answers with content that changes only with the program.
func (m *server) give(w http.ResponseWriter, r *http.Request, kind string, content []byte) {
	sum := sha256.Sum256(content)
	headers(w.Header(), kind)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// headers: a page runs nothing, loads nothing from elsewhere and is shown in no other page.
func headers(h http.Header, kind string) {
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

func (m *server) text(kind string, text func() string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { m.give(w, r, kind, []byte(text())) }
}

func (m *server) page(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if name == "" {
		name = "index"
	}
	switch name {
	case "style.css":
		m.give(w, r, "text/css; charset=utf-8", style)
		return
	case "icon.svg":
		m.give(w, r, "image/svg+xml", icon)
		return
	}
	if raw, is := strings.CutSuffix(name, ".md"); is {
		if p := Find(raw); p != nil {
			m.give(w, r, "text/markdown; charset=utf-8", []byte(p.Text))
			return
		}
	}
	if p := Find(name); p != nil && p.Name != name { // asked for without its folder
		http.Redirect(w, r, "/docs/"+p.Name, http.StatusFound)
		return
	}
	rendered := m.pages[name]
	if rendered == nil {
		m.missing(w)
		return
	}
	content, err := rendered()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	m.give(w, r, "text/html; charset=utf-8", content)
}

// missing says that there is no such page, and lists those that there are.
func (m *server) missing(w http.ResponseWriter) {
	content, err := fill(shown{Title: "There is no such page", Home: m.home})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	headers(w.Header(), "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write(content) // nobody listens
}

func (m *server) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("path")
	content, ok := file(name)
	if !ok {
		m.missing(w)
		return
	}
	kind := "text/plain; charset=utf-8" // so that a browser shows it
	if k := mime.TypeByExtension(path.Ext(name)); strings.HasPrefix(k, "image/") {
		kind = k
	}
	m.give(w, r, kind, content)
}
