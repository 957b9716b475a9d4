package injection

import (
	"strings"
	"testing"
	"time"
)

// TestItems: what a settings file says is the order that `fault add` would make.
func TestItems(t *testing.T) {
	t.Parallel()
	it, err := ParseItem("tool=pay.refund&class=rate_limited&retry_after=5s&rate=0.2&for=10m&label=customer%3Dacme&label=tier%3D1&acted=after&unsafe=pay.refund&reason=a,+b")
	if err != nil {
		t.Fatal(err)
	}
	o, err := it.Order(noon)
	if err != nil || o.Check() != nil {
		t.Fatal(err, o.Check())
	}
	if o.Where() != "pay.refund customer=acme tier=1" || o.Does() != "rate_limited after the call" || o.Share() != "20 %" || !o.Until.Equal(noon.Add(10*time.Minute)) || o.Unsafe != "pay.refund" || o.Reason != "a, b" || o.By != "the settings" {
		t.Errorf("%+v", o)
	}
	if later, _ := it.Order(noon.Add(time.Hour)); later.ID != o.ID || len(o.ID) != 8 {
		t.Error("two workers with the same settings would decide differently:", o.ID, later.ID)
	}
	for text, says := range map[string]string{
		"tool=a&for=1m&class=timeout&x=1":            `unknown key "x" of a fault: use tool, rung`,
		"tool=a&for=1m":                              "class is missing",
		"tool=a&class=timeout":                       "for is missing",
		"tool=a&class=timeout&for=soon":              `for "soon": is not a duration`,
		"tool=a&class=timeout&for=1m&rate=half":      `rate "half": is not a number`,
		"tool=a&class=timeout&for=1m&acted=maybe":    `acted "maybe": must be no, before or after`,
		"tool=a&class=timeout&for=1m&label=x":        `label "x": must be name=value`,
		"tool=a&tool=b&class=timeout&for=1m":         "a fault has tool twice",
		"tool=a&class=timeout&for=1m&rate=%zz":       "is not written like",
		"class=timeout&for=1m":                       "tool is missing",
		"tool=a&class=timeout&for=1m&retry_after=-1": "is not a duration",
	} {
		if _, err := ParseItem(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
