define(function() {
    'use strict';
    return {hotkeys: function() { return null; }};
});
