define(['jquery'], function($) {
    'use strict';
    return {draw: function(element, pageSize) { $(element).attr('data-rows', pageSize); }};
});
