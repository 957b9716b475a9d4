package yamldoc_test

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/yamldoc"
)

// shop is a document with a name and opening hours.
type shop struct {
	Name  string
	Hours []hours
}

type hours struct {
	Day  string
	From time.Duration // after midnight
}

// shopFile is a shop being read.
type shopFile struct {
	*yamldoc.Reader
	shop shop
}

func parseShop(file string, data []byte) (*shop, error) {
	f := &shopFile{Reader: &yamldoc.Reader{}}
	root, ok := f.Parse(file, data, "shop")
	if !ok {
		return nil, f.Problems.Err()
	}
	found := f.Object(root, "the shop", yamldoc.Fields{
		"name":  func(n *yaml.Node) { f.shop.Name, _ = f.Text(n) },
		"hours": f.hours,
	})
	f.Require(root, "the shop", found, "name", "hours")
	return &f.shop, f.Problems.Err()
}

func (f *shopFile) hours(n *yaml.Node) {
	f.List(n, "hours", func(_ int, e *yaml.Node) {
		var h hours
		f.Object(e, "the hours", yamldoc.Fields{
			"day":  yamldoc.Choice(f.Reader, &h.Day, "weekday", "weekend"),
			"from": yamldoc.Duration(f.Reader, &h.From, 0),
		})
		f.shop.Hours = append(f.shop.Hours, h)
	})
}

// A parser is a type that embeds a Reader, with one method for each kind of mapping in the document.
func Example() {
	_, err := parseShop("shop.yaml", []byte(`
nmae: corner shop
hours:
  - {day: weekday, from: 8h30m}
  - {day: weekent, from: 9}
`))
	fmt.Println(err)
	// Output:
	// shop.yaml:2:1: the shop has no "name"
	// shop.yaml:2:1: unknown key "nmae" in the shop (did you mean "name"?)
	// shop.yaml:5:11: "weekent" is not allowed here (did you mean "weekend"?)
	// shop.yaml:5:26: 9 is not a duration (a number needs its unit: 9s)
}
