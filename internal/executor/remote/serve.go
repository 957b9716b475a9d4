package remote

import (
	"context"
	"errors"
	"net/http"
	"time"
)

const bodyTime = 30 * time.Second // for the whole body of a request to arrive

// Serve gives out work at an address until stop is called. Programs need the token, except on a Unix socket. When Serve
// returns, it is listening.
func (h *Hub) Serve(ctx context.Context, at Address, token string) (url string, stop func(), err error) {
	l, err := at.Listen(ctx)
	if err != nil {
		return "", nil, err
	}
	url, pages := "unix:"+at.address, h.Handler()
	if !at.Unix() {
		url, pages = "http://"+l.Addr().String(), Guard(pages, token)
	}
	// No ReadTimeout: it would end polls.
	srv := &http.Server{Handler: pages, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.logger.Error("no more work is given out to programs", "address", url, "error", err)
		}
	}()
	return url, func() {
		h.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil { // answers in flight still arrive
			_ = srv.Close()
		}
	}, nil
}
