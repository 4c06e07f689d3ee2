from runback.system.text.html_page import html_page, html_table


def test_a_page_escapes_its_title_and_takes_its_body_as_it_is():
    page = html_page("a <b>", "<p>c</p>")
    assert "<title>a &lt;b&gt;</title>" in page
    assert "<h1>a &lt;b&gt;</h1>\n<p>c</p>" in page
    assert "<script>" not in page


def test_a_page_may_have_another_heading_and_a_script():
    page = html_page("a", "", heading="<i>b</i>", script="let c = 1")
    assert "<h1><i>b</i></h1>" in page
    assert "<script>let c = 1</script></head>" in page


def test_a_tables_texts_are_escaped():
    assert html_table(["<"], [["&", 1]]) == "<table><tr><th>&lt;\n<tr><td>&amp;<td>1</table>"
