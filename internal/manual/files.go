package manual

import (
	"io/fs"
	"path"
	"runtime/debug"
	"strings"

	"belay/clients"
	"belay/config"
	"belay/deploy"
	"belay/examples"
)

// folders are those of the project whose files every program carries, because pages link to them.
var folders = map[string]fs.FS{"examples": examples.Files, "clients": clients.Files, "config": config.Files, "deploy": deploy.Files}

// file is a file of the project, by its path in it; false if the programs do not carry it.
func file(name string) ([]byte, bool) {
	folder, inside, _ := strings.Cut(name, "/")
	files := folders[folder]
	if files == nil {
		return nil, false
	}
	data, err := fs.ReadFile(files, inside)
	return data, err == nil
}

// target is where a link of the named page leads in a served manual; empty for a file of the project that nobody can reach from
// here, so that the text of the link must do.
func target(from, link, published string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "#") || strings.HasPrefix(link, "mailto:") {
		return link
	}
	name, fragment, _ := strings.Cut(link, "#")
	if fragment != "" {
		fragment = "#" + fragment
	}
	name = path.Join("docs", path.Dir(from), name)
	if page, is := strings.CutPrefix(name, "docs/"); is {
		page, is = strings.CutSuffix(page, ".md")
		if p := Find(page); is && p != nil && p.Name == page {
			return "/docs/" + page + fragment
		}
		return ""
	}
	if _, carried := file(name); carried {
		return "/docs/files/" + name
	}
	if published != "" {
		return published + name + fragment
	}
	return ""
}

// published is where the project's files are on the web, if the module has a path that says so; else empty.
func published() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return publishedAs(strings.TrimSuffix(info.Main.Path, "/cmd"))
}

func publishedAs(module string) string {
	if host, _, _ := strings.Cut(module, "/"); host == "github.com" {
		return "https://" + module + "/blob/HEAD/"
	}
	return ""
}
