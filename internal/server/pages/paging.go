package pages

import (
	"net/url"
	"strconv"
)

const pageSize = 50 // lines of one page

// pages links the pages of a list.
type pages struct {
	From, To, Of int
	Prev, Next   string // paths; empty = none

	first int // index of the first line
}

// paging returns which lines belong to the page that a form asks for.
func paging(form url.Values, lines int) pages {
	last := max(1, (lines+pageSize-1)/pageSize)
	n, _ := strconv.Atoi(form.Get("page"))
	n = min(max(n, 1), last)
	first := (n - 1) * pageSize
	p := pages{From: min(first+1, lines), To: min(n*pageSize, lines), Of: lines, first: first}
	if n > 1 {
		p.Prev = pagePath(form, n-1)
	}
	if n < last {
		p.Next = pagePath(form, n+1)
	}
	return p
}

func pagePath(form url.Values, n int) string {
	next := url.Values{"page": {strconv.Itoa(n)}}
	for _, name := range []string{"q", "group", "state", "workflow"} {
		if v := form.Get(name); v != "" {
			next.Set(name, v)
		}
	}
	return "?" + next.Encode()
}
