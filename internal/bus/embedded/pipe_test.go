package embedded

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
)

func pipes() (*pipe, net.Conn) {
	a, b := net.Pipe()
	return newPipe(a), b
}

// TestPipeHasRoom: a writer does not wait for its reader until four megabytes are on the way, and nothing is lost.
func TestPipeHasRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, far := pipes()
		sent := make([]byte, tankSize)
		_, _ = rand.Read(sent)
		if n, err := p.Write(sent); n != len(sent) || err != nil {
			t.Fatal(n, err)
		}
		written := make(chan struct{})
		go func() {
			_, _ = p.Write(sent)
			_, _ = p.Write([]byte("end"))
			close(written)
		}()
		synctest.Wait()
		select {
		case <-written:
			t.Fatal("there is no end to the room")
		default:
		}
		got := make([]byte, 2*len(sent)+3)
		if _, err := io.ReadFull(far, got); err != nil {
			t.Fatal(err)
		}
		<-written
		if !bytes.Equal(got[:len(sent)], sent) || !bytes.Equal(got[len(sent):2*len(sent)], sent) || string(got[2*len(sent):]) != "end" {
			t.Error("bytes were lost or changed places")
		}
		_ = p.Close()
	})
}

// TestPipeReadsInPieces: what the other end writes at once can be read in small pieces, and the other end does not wait.
func TestPipeReadsInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, far := pipes()
		for _, text := range []string{"one ", "two ", "three"} {
			if _, err := io.WriteString(far, text); err != nil {
				t.Fatal(err)
			}
		}
		_ = far.Close()
		var got []byte
		b := make([]byte, 3)
		for {
			n, err := p.Read(b)
			got = append(got, b[:n]...)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				break
			}
		}
		if string(got) != "one two three" {
			t.Errorf("%q", got)
		}
		_ = p.Close()
	})
}

// TestPipeCloses: whoever waits on a pipe is told when either end closes it, and no goroutine stays behind.
func TestPipeCloses(t *testing.T) {
	t.Parallel()
	for name, shut := range map[string]func(p *pipe, far net.Conn){
		"here":  func(p *pipe, _ net.Conn) { _ = p.Close() },
		"there": func(_ *pipe, far net.Conn) { _ = far.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // fails when goroutines are left
				p, far := pipes()
				waiting := make(chan error, 2)
				go func() {
					_, err := p.Read(make([]byte, 1))
					waiting <- err
				}()
				go func() {
					var err error
					for err == nil {
						_, err = p.Write(make([]byte, 1<<20))
					}
					waiting <- err
				}()
				synctest.Wait()
				shut(p, far)
				for range 2 {
					if err := <-waiting; err == nil {
						t.Error("no error")
					}
				}
				_ = p.Close()
			})
		})
	}
}
