"""
    A real browser: a headless Chromium where there is one, without scripts by
    default
"""

import os
import shutil

from contextlib import contextmanager, suppress

import pytest

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from .folders import temporary_folder
from .site import eventually

SUBMIT = "form input[type=submit], form button[type=submit]"

# What Sahana Eden does when a page has loaded: $('input:text:visible:first').focus()
FOCUS = """
for (const field of document.querySelectorAll("input"))
    if (field.type == "text" && field.getClientRects().length) {
        field.focus();
        break;
    }
"""

# -----------------------------------------------------------------------------
@contextmanager
def browser(scripts=False):
    """
        The browser (selenium's driver), closed in the end

        Args:
            scripts: run those of the pages
    """

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        told = "No browser: chromium and chromedriver are not installed"
        if os.environ.get("MAILS3_REQUIRE_BROWSER") == "1":
            pytest.fail(told)
        pytest.skip(told)

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage",
                     "--disable-gpu", "--window-size=1200,900",
                     # Nobody but the site is to be asked for anything
                     "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync"):
        options.add_argument(argument)
    options.add_experimental_option(
                "prefs", {"profile.managed_default_content_settings.javascript":
                          1 if scripts else 2})
    # Chromium does not remove all of its temporary files
    folder = temporary_folder()
    service = webdriver.ChromeService(driver, env={**os.environ, "TMPDIR": folder.name})
    try:
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield driver
        finally:
            driver.quit()
    finally:
        with suppress(OSError):
            # A process of it may still write there
            folder.cleanup()

# -----------------------------------------------------------------------------
def log_in(driver, site, email, password):
    """ Log in by the form of the app """

    driver.get(site.url + "/default/user/login")
    driver.find_element(By.NAME, "email").send_keys(email)
    driver.find_element(By.NAME, "password").send_keys(password)
    follow(driver, driver.find_element(By.CSS_SELECTOR, SUBMIT))
    assert eventually(lambda: "/login" not in driver.current_url)

# -----------------------------------------------------------------------------
def follow(driver, element):
    """ Click on what leads to another page, and wait for that """

    def is_gone():
        try:
            return not page.tag_name
        except WebDriverException:
            # It has several words for that
            return True

    page = driver.find_element(By.TAG_NAME, "html")
    element.click()
    assert eventually(is_gone)

# -----------------------------------------------------------------------------
def steer(driver, site):
    """
        What an admin does under stress, by clicking: see why mail is not
        going out, find a mail, set it aside, release it, look at its
        content, test the configuration, pause and resume

        Args:
            driver: the browser of an admin who is logged in
            site: the site, with one mail to anne@example.org that waits
    """

    def text():
        return driver.find_element(By.CLASS_NAME, "mails3").text

    def click(words):
        follow(driver, driver.find_element(
                    By.XPATH, "//div[@class='mails3']//*[self::a or self::button]"
                              "[contains(normalize-space(), '%s')]" % words))

    driver.get(site.url + "/mails3")
    assert "No worker is alive" in text()
    # What counts is what is seen first
    alert = driver.find_element(By.CSS_SELECTOR, ".mails3 .state")
    assert alert.rect["y"] < 400
    headings = driver.find_elements(By.CSS_SELECTOR, ".mails3 h2")
    assert max(heading.size["height"] for heading in headings) == headings[0].size["height"]

    click("new")
    driver.find_element(By.NAME, "q").send_keys("anne@")
    click("Search")
    driver.find_element(By.NAME, "number").click()
    click("Hold")
    assert "hold: 1 done" in text()

    click("held")
    follow(driver, driver.find_element(By.CSS_SELECTOR, ".mails3 tbody a"))
    assert "Held by " in text()
    click("Release")
    assert "release: 1 done" in text()
    click("Show the content")
    assert "There is news." in text()

    stops_nothing_by_one_key(driver, site)

    driver.get(site.url + "/mails3")
    click("Test the configuration")
    assert "It works" in text()
    click("Outbound mail")
    driver.find_element(By.CSS_SELECTOR, ".mails3 summary").click()
    reason = driver.find_element(By.NAME, "reason")
    reason.send_keys("Moving house" + Keys.ENTER)
    # One key away is nothing that stops mail
    assert "Sending is paused" not in text()
    follow(driver, driver.find_element(By.CSS_SELECTOR, ".mails3 button[value=pause]"))
    assert "Moving house" in text()
    click("Resume sending")
    assert "Moving house" not in text()

    # On a phone, nothing sticks out
    driver.set_window_size(420, 900)
    for page in ("", "/mails", "/show/1", "/content/1"):
        driver.get(site.url + "/mails3" + page)
        width = driver.find_element(By.TAG_NAME, "html").size["width"]
        for element in driver.find_elements(By.CSS_SELECTOR, ".mails3, .mails3 > *"):
            assert element.rect["x"] + element.rect["width"] <= width + 1
        assert driver.execute_script("return document.querySelector('.mails3').scrollWidth <= "
                                     "document.querySelector('.mails3').clientWidth + 1"), page

# -----------------------------------------------------------------------------
def stops_nothing_by_one_key(driver, site):
    """
        Nothing that stops mail is one key away, right after a page has loaded
        or from any of its fields
    """

    for page in ("", "/mails", "/mails/new"):
        driver.get(site.url + "/mails3" + page)
        scroll = driver.execute_script("return window.scrollY")
        driver.execute_script(FOCUS)
        # What counts stays in sight
        assert driver.execute_script("return window.scrollY") == scroll
        driver.switch_to.active_element.send_keys(Keys.ENTER)
        visible = ".mails3 input:not([type=hidden]):not([type=search])"
        # Anew for each: Enter may have led to another page, and a list may
        # have become shorter meanwhile
        driver.get(site.url + "/mails3" + page)
        for number in range(len(driver.find_elements(By.CSS_SELECTOR, visible))):
            driver.get(site.url + "/mails3" + page)
            for field in driver.find_elements(By.CSS_SELECTOR, visible)[number:number + 1]:
                if field.is_displayed():
                    field.send_keys(Keys.ENTER)
    driver.get(site.url + "/mails3")
    text = driver.find_element(By.CLASS_NAME, "mails3").text
    assert "Sending is paused" not in text
    assert "0\nheld" in text or "0 held" in text, text

# END =========================================================================
